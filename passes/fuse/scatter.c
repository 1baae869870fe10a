// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sequence parallelism: a reduce-scatter gives each rank a block of the sum's rows, of which it
// computes the norm and the codes; all-gathers put those together. That is a fused op whose
// residual is a block of rows (residual_layout = "token_block"): there, too, a row's owner computes
// it.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "shard/shard.h"

bool fiarScattersRows(FiarFusion* fusion, MlirOperation op, FiarPrimitive* out_scatter) {
  FiarShape shape;
  *out_scatter = fiarPrimitiveRead(&fusion->view, op);
  return out_scatter->kind == FIAR_PRIM_REDUCE_SCATTER && out_scatter->n_in == 1 &&
         out_scatter->n_dims == 1 && mlirOperationGetNumResults(op) == 1 &&
         strcmp(out_scatter->reduction, "sum") == 0 &&
         fiarShapeRead(mlirValueGetType(out_scatter->in[0]), &shape) && out_scatter->dims[0] >= 0 &&
         out_scatter->dims[0] < shape.rank - 1;
}

const char* fiarResidualLayoutText(const FiarAnchor* anchor) {
  return anchor->scatters ? "token_block" : "full";
}

const char* fiarScatterRefusal(const FiarAnchor* anchor) {
  const int64_t dim = anchor->primitive.dims[0];
  FiarShape whole, part;
  if (!fiarShapeRead(mlirValueGetType(anchor->input), &whole) ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(anchor->op, 0)), &part) ||
      whole.rank != part.rank || whole.elem != part.elem) {
    return "its operand and result are not tensors of one element type";
  }
  for (int i = 0; i < whole.rank; ++i) {
    if (whole.size[i] < 0) {
      return "it scatters rows whose number is not known at compile time";
    }
    if (i < dim && whole.size[i] != 1) {
      return "it scatters along a dimension that others of the rows come before: no rank's rows are "
             "one block";
    }
    if (whole.size[i] != part.size[i] * (i == dim ? anchor->world : 1)) {
      return "its result is not as many rows for each of its ranks";
    }
  }
  return NULL;
}

bool fiarGathersRows(const FiarFusion* fusion, const FiarPrimitive* gather, const FiarTerm* part,
                     const FiarShape* shape, FiarLayout* out_layout) {
  const FiarAnchor* anchor = &fusion->anchors[part->facts.anchor];
  const FiarPrimitive* scatter = &anchor->primitive;
  return anchor->scatters && !part->facts.gathered && part->role >= FIAR_ROLE_NORMED &&
         gather->n_in == 1 && gather->n_dims == 1 && gather->world == scatter->world &&
         strcmp(gather->mode, scatter->mode) == 0 && !mlirAttributeIsNull(scatter->groups) &&
         mlirAttributeEqual(gather->groups, scatter->groups) &&
         fiarLayoutGatherRows(&part->layout, gather->dims[0], shape, out_layout) &&
         shape->size[gather->dims[0]] == part->layout.shape.size[gather->dims[0]] * anchor->world;
}

static bool same_on_all(FiarFusion* fusion, const FiarAnchor* anchor, MlirValue value) {
  const FiarRanks ranks = {anchor->primitive.groups,
                           mlirStringRefCreateFromCString(anchor->primitive.mode)};
  return !fiarIsValue(value) || fusion->options->assume_replicated ||
         fiarReplicated(fusion->replication, value, ranks);
}

// A row's owner may be the only one to use weight and scale. What each rank computes behind the
// gather, too, is what the owner would.
bool fiarScatterReturns(FiarFusion* fusion, const FiarAnchor* anchor, const FiarTerm* term) {
  if (!anchor->scatters) {
    return true;
  }
  if (!term->facts.gathered) {
    fiarLeaveNorm(
        fusion, term,
        "the sum is scattered by rows, and their norm is not gathered from the same ranks");
    return false;
  }
  if (!same_on_all(fusion, anchor, term->facts.weight)) {
    fiarLeaveNorm(fusion, term,
                  "the sum is scattered by rows, and the weight is not known to be the same on all "
                  "ranks: assume-replicated says so");
    return false;
  }
  if (term->role == FIAR_ROLE_CODES && !same_on_all(fusion, anchor, term->facts.scale)) {
    fiarRefuse(fusion, term, anchor->op,
               "the sum is scattered by rows, and the scale is not known to be the same on all "
               "ranks: assume-replicated says so");
    return false;
  }
  return true;
}

void fiarScattersForget(FiarFusion* fusion) {
  size_t kept = 0;
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    FiarAnchor* anchor = &fusion->anchors[i];
    bool normed = anchor->fused || !anchor->scatters ||
                  (!anchor->refused && fiarReasonIsPrecise(&anchor->reason));
    for (size_t k = 0; k < anchor->n_members && !normed; ++k) {
      normed = fiarTermAt(fusion, anchor->members[k].term)->role >= FIAR_ROLE_SQUARE;
    }
    if (normed) {
      fusion->anchors[kept++] = *anchor;
    } else {
      free(anchor->members);
    }
  }
  fusion->n_anchors = kept;
}
