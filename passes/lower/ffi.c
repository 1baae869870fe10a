// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fused ops to XLA custom calls, as include/fiar/xla.h fixes them.
//
//   %n = "fiar.all_reduce_norm"(%x, %w) {eps, ..., groups}
//   -> %n = "stablehlo.custom_call"(%x, %w) <{call_target_name = "fiar.all_reduce_norm",
//   api_version = 4,
//           backend_config = {eps, ..., operands, results, group_ids, groups_count, group_mode},
//           ...}>
//
// Works on any module that holds the ops; the calls are StableHLO's generic form, so StableHLO need
// not be linked. Groups are expanded to ids, because a handler cannot look up a mesh.
#include <inttypes.h>
#include <stdlib.h>

#include "lower/lower.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

// Attributes that the handler reads as f32 and i64, whatever width the op has; and strings.
static const char* const f32_attributes[] = {"eps", "weight_bias", "scale_min"};
static const char* const string_attributes[] = {"norm_input",  "norm_rounding", "quant",
                                                "scale_is",    "scale_type",    "residual_layout",
                                                "scale_layout"};

static void print_named(FILE* out, const char* name, MlirAttribute attribute) {
  fprintf(out, "%s = ", name);
  fiarPrintAttribute(out, attribute);
  fprintf(out, ", ");
}

// Which of the op's operands or results there are: bit i for number i.
static unsigned present(const MlirValue* values, int count) {
  unsigned mask = 0;
  for (int i = 0; i < count; ++i) {
    mask |= mlirValueIsNull(values[i]) ? 0u : 1u << i;
  }
  return mask;
}

static void print_norm_attributes(FILE* out, const FiarCall* call) {
  MlirType f32 = mlirF32TypeGet(mlirOperationGetContext(call->op));
  for (size_t i = 0; i < sizeof f32_attributes / sizeof *f32_attributes; ++i) {
    double value = mlirFloatAttrGetValueDouble(fiarOpAttribute(call->op, f32_attributes[i]));
    MlirContext context = mlirOperationGetContext(call->op);
    print_named(out, f32_attributes[i], mlirFloatAttrDoubleGet(context, f32, value));
  }
  for (size_t i = 0; i < sizeof string_attributes / sizeof *string_attributes; ++i) {
    print_named(out, string_attributes[i], fiarOpAttribute(call->op, string_attributes[i]));
  }
  fprintf(out, "group_size = %" PRId64 " : i64, operands = %u : i64, results = %u : i64, ",
          mlirIntegerAttrGetValueInt(fiarOpAttribute(call->op, "group_size")),
          present(call->operands, FIAR_IN_COUNT), present(call->results, FIAR_OUT_COUNT));
}

// What the ids count, as XLA numbers its modes. The attribute is the source's mode, kept by
// fiar-fuse; ids of a mesh, and of ops written by hand, are flattened ones.
enum { REPLICA_AND_PARTITION = 2, FLATTENED_IDS = 3, MAX_WORLD = 1 << 20 };

static bool group_mode(const FiarCall* call, int* out_mode) {
  static const char* const modes[] = {"cross_replica", "cross_partition",
                                      "cross_replica_and_partition", "flattened_ids"};
  if (mlirAttributeIsAString(call->groups)) {
    *out_mode = FLATTENED_IDS;  // a process group counts ranks
    return true;
  }
  *out_mode = FLATTENED_IDS;
  MlirAttribute mode = fiarOpAttribute(call->op, "group_mode");
  if (mlirAttributeIsNull(mode)) {
    return true;
  }
  for (int i = 0; i <= FLATTENED_IDS && mlirAttributeIsAString(mode); ++i) {
    if (mlirStringRefEqual(mlirStringAttrGetValue(mode), fiarString(modes[i]))) {
      *out_mode = i;
      return true;
    }
  }
  return fiarErrorAt(call->op,
                     "group_mode is none of cross_replica, cross_partition, "
                     "cross_replica_and_partition and flattened_ids");
}

// Groups as rows of `world` ids. No groups: all ranks are one. Replicas over all partitions become
// flattened ids, replica * partitions + partition, so that a row always lists its ranks.
static void print_ids(FILE* out, const FiarGroups* groups, int64_t world, bool spread) {
  int64_t rows = groups->size == 0 ? 1 : groups->count,
          partitions = spread ? world / groups->size : 1;
  fprintf(out, "groups_count = %" PRId64 " : i64, group_ids = array<i64: ", rows);
  for (int64_t i = 0; i < rows * world; ++i) {
    int64_t id = groups->size == 0 ? i : groups->ids[i / partitions] * partitions + i % partitions;
    fprintf(out, "%s%" PRId64, i > 0 ? ", " : "", id);
  }
  fprintf(out, ">");
}

static bool print_groups(FILE* out, MlirOperation module, const FiarCall* call) {
  FiarGroups groups;
  char reason[256] = "";
  int mode;
  if (!group_mode(call, &mode)) {
    return false;
  }
  if (!fiarGroupsExpand(module, call->groups, &groups, reason, sizeof reason)) {
    return fiarErrorAt(call->op, "%s", reason);
  }
  bool spread = mode == REPLICA_AND_PARTITION && groups.size > 0 && call->world % groups.size == 0;
  if (groups.size != 0 && groups.size != call->world && !spread) {
    (void)fiarErrorAt(call->op,
                      "world is %" PRId64 ", but each of the groups has %" PRId64 " ranks",
                      call->world, groups.size);
    fiarGroupsFree(&groups);
    return false;
  }
  if (call->world > MAX_WORLD) {
    fiarGroupsFree(&groups);
    return fiarErrorAt(call->op, "world is %" PRId64 ", too many ranks to write out", call->world);
  }
  fprintf(out, "world = %" PRId64 " : i64, group_mode = %d : i64, ", call->world,
          spread ? FLATTENED_IDS : mode);
  print_ids(out, &groups, call->world, spread);
  fiarGroupsFree(&groups);
  return true;
}

// The attributes of the custom call, as text: a null attribute where an error was reported.
static MlirAttribute parse_config(MlirOperation module, const FiarCall* call, size_t number) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) {
    (void)fiarErrorAt(call->op, "out of memory");
    return mlirAttributeGetNull();
  }
  // XLA may run independent calls in any order: the place in the module tells them apart on all
  // ranks.
  fprintf(out, "{call_id = %zu : i64, ", number);
  if (call->kind == FIAR_CALL_ALL_REDUCE_NORM) {
    print_norm_attributes(out, call);
  }
  bool good = print_groups(out, module, call);
  fprintf(out, "}");
  (void)fclose(out);
  MlirAttribute config =
      good ? mlirAttributeParseGet(mlirOperationGetContext(module), fiarString(text))
           : mlirAttributeGetNull();
  free(text);
  return config;
}

// Row-major: dense<[rank - 1, ..., 0]> : tensor<rank x index> for each value.
static MlirAttribute layouts(MlirContext context, MlirOperation op, intptr_t count,
                             MlirValue (*get)(MlirOperation, intptr_t)) {
  MlirAttribute* rows = calloc((size_t)count + 1, sizeof *rows);
  if (rows == NULL) {
    return mlirAttributeGetNull();
  }
  for (intptr_t i = 0; i < count; ++i) {
    int64_t rank = mlirShapedTypeGetRank(mlirValueGetType(get(op, i)));
    MlirType type =
        mlirRankedTensorTypeGet(1, &rank, mlirIndexTypeGet(context), mlirAttributeGetNull());
    MlirAttribute order[16];
    int64_t used = rank < 16 ? rank : 16;
    for (int64_t j = 0; j < used; ++j) {
      order[j] = mlirIntegerAttrGet(mlirIndexTypeGet(context), rank - 1 - j);
    }
    rows[i] = mlirDenseElementsAttrGet(type, used, order);
  }
  MlirAttribute result = mlirArrayAttrGet(context, count, rows);
  free(rows);
  return result;
}

static void set(MlirOperation op, const char* name, MlirAttribute attribute) {
  mlirOperationSetInherentAttributeByName(op, fiarString(name), attribute);
}

static void replace_by_custom_call(const FiarCall* call, MlirAttribute config) {
  MlirOperation op = call->op;
  MlirContext context = mlirOperationGetContext(op);
  MlirStringRef target = mlirIdentifierStr(mlirOperationGetName(op));
  MlirOperation replacement = fiarReplaceOp(op, "stablehlo.custom_call", NULL);
  MlirAttribute none = mlirArrayAttrGet(context, 0, NULL);
  set(replacement, "call_target_name", mlirStringAttrGet(context, target));
  set(replacement, "api_version", mlirIntegerAttrGet(mlirIntegerTypeGet(context, 32), 4));
  set(replacement, "backend_config", config);
  set(replacement, "has_side_effect", mlirBoolAttrGet(context, 1));
  set(replacement, "called_computations", none);
  set(replacement, "output_operand_aliases", none);
  set(replacement, "operand_layouts",
      layouts(context, op, mlirOperationGetNumOperands(op), mlirOperationGetOperand));
  set(replacement, "result_layouts",
      layouts(context, op, mlirOperationGetNumResults(op), mlirOperationGetResult));
}

MlirLogicalResult fiarLowerToFfi(MlirOperation module) {
  FiarCalls calls = {0};
  bool good = fiarCollectCalls(module, false, &calls);
  size_t done = 0;
  while (good && done < calls.count) {
    fiar_all_reduce_norm_params params;
    MlirAttribute config = {NULL};
    good = fiarCallParams(&calls.items[done], &params);
    config = good ? parse_config(module, &calls.items[done], done) : config;
    good = good && !mlirAttributeIsNull(config);
    if (good) {
      replace_by_custom_call(&calls.items[done++], config);
    }
  }
  for (size_t i = 0; i < done; ++i) {
    mlirOperationDestroy(calls.items[i].op);
  }
  free(calls.items);
  return good ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
