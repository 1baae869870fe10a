// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the stages of the compiler share. Internal.
#ifndef FIAR_PASSES_H
#define FIAR_PASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiar/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

// The rank groups of a collective, expanded: count groups of size ranks each, ids[group * size +
// i]. `ids` is owned: free it with fiarGroupsFree.
typedef struct FiarGroups {
  int64_t count, size;
  int64_t* ids;
} FiarGroups;

// A module's dictionary of the groups that its ops only name (torch's process groups):
//   fiar.groups = {"tp:0" = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>, "ep:0" = 4 : i64}
// A matrix has a row of ids for each group; a number says that ranks 0 .. N - 1 are one.
#define FIAR_GROUPS_ATTRIBUTE "fiar.groups"

// Expands the `groups` attribute of a fiar op (the source's replica groups, kept verbatim): a dense
// tensor of ids, StableHLO's replica_group_mesh_axes over an sdy.mesh of `module` or an inline
// mesh, or a name that FIAR_GROUPS_ATTRIBUTE of `module` explains. On failure *out_groups is zero
// and `text` (a sentence, cut at text_size) says why: unequal groups, a rank twice or negative,
// sub-axes, an unknown mesh.
bool fiarGroupsExpand(MlirOperation module, MlirAttribute groups, FiarGroups* out_groups,
                      char* text, size_t text_size);

// Frees the ids and zeroes the struct.
void fiarGroupsFree(FiarGroups* groups);

// Registers what the passes read and make: the fiar dialect, the pretty forms of foreign ones, and
// MLIR's own that a frontend or a lowering knows. Defined in passes/cxx, for C programs that are
// linked with it.
void fiarRegisterDialects(MlirDialectRegistry registry);

// The passes of fiar-to-llvm between fiar-lower-to-runtime and fiar-internalize, as pipeline text.
// Static storage.
MlirStringRef fiarCpuPipeline(void);

// The pass fiar-internalize: private llvm.funcs get internal linkage, so that several models link
// into one binary.
MlirLogicalResult fiarInternalize(MlirOperation module);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_PASSES_H
