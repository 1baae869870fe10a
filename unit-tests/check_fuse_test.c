// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-check must notice: every wrong rewrite here is what a broken matcher would produce.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check_holds.h"

#define T "tensor<3x64xbf16>"
#define F "tensor<3x64xf32>"
#define C "tensor<3x1xf32>"
#define S "tensor<f32>"
#define OP "fiar.all_reduce_norm"

// all-reduce -> residual add -> RMSNorm -> fp8 with a clamp, on two ranks.
static const char model[] =
    "func.func @main(%x: " T ", %res: " T ", %w: tensor<64xbf16>, %s: " S ") -> (" T ", " T
    ", tensor<3x64xf8E4M3FN>) {\n"
    "%0 = \"stablehlo.all_reduce\"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({\n"
    "^bb0(%a: tensor<bf16>, %b: tensor<bf16>):\n"
    "  %q = \"stablehlo.add\"(%a, %b) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>\n"
    "  \"stablehlo.return\"(%q) : (tensor<bf16>) -> ()\n"
    "}) : (" T ") -> " T
    "\n"
    "%1 = \"stablehlo.add\"(%0, %res) : (" T ", " T ") -> " T
    "\n"
    "%2 = \"stablehlo.convert\"(%1) : (" T ") -> " F
    "\n"
    "%3 = \"stablehlo.multiply\"(%2, %2) : (" F ", " F ") -> " F
    "\n"
    "%4 = \"stablehlo.constant\"() <{value = dense<0.0> : " S "}> : () -> " S
    "\n"
    "%5 = \"stablehlo.reduce\"(%3, %4) <{dimensions = array<i64: 1>}> ({\n"
    "^bb0(%a: " S ", %b: " S
    "):\n"
    "  %q = \"stablehlo.add\"(%a, %b) : (" S ", " S ") -> " S
    "\n"
    "  \"stablehlo.return\"(%q) : (" S
    ") -> ()\n"
    "}) : (" F ", " S
    ") -> tensor<3xf32>\n"
    "%6 = \"stablehlo.reshape\"(%5) : (tensor<3xf32>) -> " C
    "\n"
    "%7 = \"stablehlo.constant\"() <{value = dense<64.0> : " C "}> : () -> " C
    "\n"
    "%8 = \"stablehlo.divide\"(%6, %7) : (" C ", " C ") -> " C
    "\n"
    "%9 = \"stablehlo.constant\"() <{value = dense<1.0e-6> : " C "}> : () -> " C
    "\n"
    "%10 = \"stablehlo.add\"(%8, %9) : (" C ", " C ") -> " C
    "\n"
    "%11 = \"stablehlo.rsqrt\"(%10) : (" C ") -> " C
    "\n"
    "%12 = \"stablehlo.broadcast_in_dim\"(%11) <{broadcast_dimensions = array<i64: 0, 1>}> : (" C
    ") -> " F
    "\n"
    "%13 = \"stablehlo.multiply\"(%2, %12) : (" F ", " F ") -> " F
    "\n"
    "%14 = \"stablehlo.convert\"(%13) : (" F ") -> " T
    "\n"
    "%15 = \"stablehlo.broadcast_in_dim\"(%w) <{broadcast_dimensions = array<i64: 1>}> : (tensor<64xbf16>) -> " T
    "\n"
    "%16 = \"stablehlo.multiply\"(%14, %15) : (" T ", " T ") -> " T
    "\n"
    "%17 = \"stablehlo.convert\"(%16) : (" T ") -> " F
    "\n"
    "%18 = \"stablehlo.broadcast_in_dim\"(%s) <{broadcast_dimensions = array<i64>}> : (" S ") -> " F
    "\n"
    "%19 = \"stablehlo.divide\"(%17, %18) : (" F ", " F ") -> " F
    "\n"
    "%20 = \"stablehlo.constant\"() <{value = dense<-448.0> : " F "}> : () -> " F
    "\n"
    "%21 = \"stablehlo.constant\"() <{value = dense<448.0> : " F "}> : () -> " F
    "\n"
    "%22 = \"stablehlo.clamp\"(%20, %19, %21) : (" F ", " F ", " F ") -> " F
    "\n"
    "%23 = \"stablehlo.convert\"(%22) : (" F
    ") -> tensor<3x64xf8E4M3FN>\n"
    "return %1, %16, %23 : " T ", " T
    ", tensor<3x64xf8E4M3FN>\n"
    "}\n";

// Put in the place of the model's %18 and what follows: nvfp4 by division, dequantised by the IR.
// The codes of a block of zeros are of 0 / 0, which may become any.
#define B "tensor<3x4x16xf32>"
#define G "tensor<3x4xf32>"
static const char dequantised[] =
    "%18 = \"stablehlo.reshape\"(%17) : (" F ") -> " B
    "\n"
    "%19 = \"stablehlo.abs\"(%18) : (" B ") -> " B
    "\n"
    "%20 = \"stablehlo.reduce\"(%19, %4) <{dimensions = array<i64: 2>}> ({\n"
    "^bb0(%a: " S ", %b: " S
    "):\n"
    "  %q = \"stablehlo.maximum\"(%a, %b) : (" S ", " S ") -> " S
    "\n"
    "  \"stablehlo.return\"(%q) : (" S
    ") -> ()\n"
    "}) : (" B ", " S ") -> " G
    "\n"
    "%21 = \"stablehlo.constant\"() <{value = dense<6.0> : " G "}> : () -> " G
    "\n"
    "%22 = \"stablehlo.divide\"(%20, %21) : (" G ", " G ") -> " G
    "\n"
    "%23 = \"stablehlo.convert\"(%22) : (" G
    ") -> tensor<3x4xf8E4M3FN>\n"
    "%24 = \"stablehlo.convert\"(%23) : (tensor<3x4xf8E4M3FN>) -> " G
    "\n"
    "%25 = \"stablehlo.broadcast_in_dim\"(%24) <{broadcast_dimensions = array<i64: 0, 1>}> : (" G
    ") -> " B
    "\n"
    "%26 = \"stablehlo.divide\"(%18, %25) : (" B ", " B ") -> " B
    "\n"
    "%27 = \"stablehlo.constant\"() <{value = dense<-6.0> : " B "}> : () -> " B
    "\n"
    "%28 = \"stablehlo.constant\"() <{value = dense<6.0> : " B "}> : () -> " B
    "\n"
    "%29 = \"stablehlo.clamp\"(%27, %26, %28) : (" B ", " B ", " B ") -> " B
    "\n"
    "%30 = \"stablehlo.convert\"(%29) : (" B
    ") -> tensor<3x4x16xf4E2M1FN>\n"
    "%31 = \"stablehlo.convert\"(%30) : (tensor<3x4x16xf4E2M1FN>) -> " B
    "\n"
    "%32 = \"stablehlo.multiply\"(%31, %25) : (" B ", " B ") -> " B
    "\n"
    "%33 = \"stablehlo.reshape\"(%32) : (" B ") -> " F
    "\n"
    "%34 = \"stablehlo.convert\"(%33) : (" F ") -> " T
    "\n"
    "%35 = \"stablehlo.convert\"(%33) : (" F
    ") -> tensor<3x64xf8E4M3FN>\n"
    "return %1, %34, %35 : " T ", " T
    ", tensor<3x64xf8E4M3FN>\n"
    "}\n";

// What a rewrite under test does to the op that fiar-fuse made.
typedef struct wrong_rewrite {
  const char* claim;
  check_breakage_t breakage;
} wrong_rewrite_t;

static MlirLogicalResult fuse_and_break(MlirOperation clone, void* data) {
  FiarFuseCounts counts = {0};
  MlirLogicalResult result = fiarFuse(clone, NULL, &counts);
  assert_int_equal(counts.fused, 1);
  check_break(clone, data);
  return result;
}

static void the_right_rewrite_holds(void** state) {
  (void)state;
  assert_true(check_holds(model, fuse_and_break, NULL, 2));
}

static void every_wrong_rewrite_is_noticed(void** state) {
  (void)state;
  static const wrong_rewrite_t wrong[] = {
      {"a weight bias that the source lacks", {OP, "weight_bias", "1.0 : f32", 0, 0}},
      {"another eps", {OP, "eps", "10.0 : f32", 0, 0}},
      {"a weight product before the rounding", {OP, "norm_rounding", "\"after_weight\"", 0, 0}},
      {"a norm of the unrounded sum", {OP, "norm_input", "\"f32\"", 0, 0}},
      {"a scale that multiplies", {OP, "scale_is", "\"multiplier\"", 0, 0}},
      {"a group with one rank only", {OP, "groups", "dense<[[0], [1]]> : tensor<2x1xi64>", 0, 0}},
      {"the residual in the sum's place", {OP, NULL, NULL, 0, 1}},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    if (check_holds(model, fuse_and_break, &wrong[i].breakage, 2)) {
      fail_msg("fiar-check does not notice %s", wrong[i].claim);
    }
  }
}

static void codes_that_may_be_any_hide_nothing_else(void** state) {
  (void)state;
  static const wrong_rewrite_t wrong[] = {
      {"another eps", {OP, "eps", "10.0 : f32", 0, 0}},
      {"a weight product before the rounding", {OP, "norm_rounding", "\"after_weight\"", 0, 0}},
      {"a floor under the scales", {OP, "scale_min", "1.0 : f32", 0, 0}},
      {"the residual in the sum's place", {OP, NULL, NULL, 0, 1}},
  };
  char text[sizeof model + sizeof dequantised];
  const size_t kept = (size_t)(strstr(model, "%18 = ") - model);
  (void)snprintf(text, sizeof text, "%.*s%s", (int)kept, model, dequantised);
  assert_true(check_holds(text, fuse_and_break, NULL, 2));
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    if (check_holds(text, fuse_and_break, &wrong[i].breakage, 2)) {
      fail_msg("fiar-check does not notice %s", wrong[i].claim);
    }
  }
}

// An op of an unregistered dialect is not verified: that it got another shape, only the values say.
static MlirLogicalResult take_the_operand_of_a_reshape(MlirOperation clone, void* data) {
  (void)data;
  MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(clone));
  MlirOperation function = mlirBlockGetFirstOperation(block);
  block = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(function));
  MlirOperation reshape = mlirBlockGetFirstOperation(block);
  mlirOperationSetOperand(mlirOperationGetNextInBlock(reshape), 0,
                          mlirOperationGetOperand(reshape, 0));
  return mlirLogicalResultSuccess();
}

static void a_lost_reshape_is_noticed(void** state) {
  (void)state;
  static const char reshaped[] =
      "func.func @f(%x: tensor<4x8xf32>) -> tensor<2x16xf32> {\n"
      "  %r = \"stablehlo.reshape\"(%x) : (tensor<4x8xf32>) -> tensor<2x16xf32>\n"
      "  %t = \"stablehlo.cosine\"(%r) : (tensor<2x16xf32>) -> tensor<2x16xf32>\n"
      "  return %t : tensor<2x16xf32>\n"
      "}\n";
  const FiarCheckOptions options = {.struct_size = sizeof options,
                                    .rewrite = take_the_operand_of_a_reshape,
                                    .seeds = 1,
                                    .products = true};
  assert_false(check_holds_with(reshaped, options));
}

// A host may allow dialects that it does not load: then nobody has verified their ops.
static void unverified_ops_without_operands_are_left(void** state) {
  (void)state;
  static const char unverified[] =
      "\"func.func\"() ({\n"
      "^bb0(%x: tensor<4x8xf32>):\n"
      "  %world = \"mpi.comm_world\"() : () -> !mpi.comm\n"
      "  %rank = \"mpi.comm_rank\"() : () -> i32\n"
      "  %color = \"arith.remui\"(%rank) : (i32) -> i32\n"
      "  %split = \"mpi.comm_split\"(%world, %color, %rank) : (!mpi.comm, i32, i32) -> !mpi.comm\n"
      "  %none = \"mpi.comm_split\"() : () -> !mpi.comm\n"
      "  %b = \"bufferization.to_buffer\"() : () -> memref<4x8xf32>\n"
      "  %m = \"memref.alloc\"() : () -> memref<4x8xf32>\n"
      "  %v = \"memref.cast\"() : () -> memref<4x8xf32>\n"
      "  \"memref.cast\"(%m) : (memref<4x8xf32>) -> ()\n"
      "  \"mpi.allreduce\"(%m, %m, %split) {op = 3 : i32} : (memref<4x8xf32>, memref<4x8xf32>, !mpi.comm) -> ()\n"
      "  \"mpi.allreduce\"(%m, %m, %none) {op = 3 : i32} : (memref<4x8xf32>, memref<4x8xf32>, !mpi.comm) -> ()\n"
      "  \"mpi.allreduce\"(%b, %m, %world) {op = 3 : i32} : (memref<4x8xf32>, memref<4x8xf32>, !mpi.comm) -> ()\n"
      "  \"mpi.allreduce\"(%v, %v, %world) {op = 3 : i32} : (memref<4x8xf32>, memref<4x8xf32>, !mpi.comm) -> ()\n"
      "  \"mpi.allreduce\"() {op = 3 : i32} : () -> ()\n"
      "  %s = \"bufferization.to_tensor\"(%m) {restrict} : (memref<4x8xf32>) -> tensor<4x8xf32>\n"
      "  \"func.return\"(%s) : (tensor<4x8xf32>) -> ()\n"
      "}) {sym_name = \"f\", function_type = (tensor<4x8xf32>) -> tensor<4x8xf32>} : () -> ()\n";
  MlirContext context = mlirContextCreate();
  mlirContextSetAllowUnregisteredDialects(context, true);
  assert_true(mlirLogicalResultIsSuccess(fiarLoadDialect(context)));
  MlirModule module = mlirModuleCreateParse(context, mlirStringRefCreateFromCString(unverified));
  assert_false(mlirModuleIsNull(module));
  FiarFuseOptions options = {.struct_size = sizeof options};
  FiarFuseCounts counts = {0};
  assert_true(
      mlirLogicalResultIsSuccess(fiarFuse(mlirModuleGetOperation(module), &options, &counts)));
  assert_int_equal(counts.fused, 0);
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_rewrite_holds),
      cmocka_unit_test(every_wrong_rewrite_is_noticed),
      cmocka_unit_test(codes_that_may_be_any_hide_nothing_else),
      cmocka_unit_test(a_lost_reshape_is_noticed),
      cmocka_unit_test(unverified_ops_without_operands_are_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
