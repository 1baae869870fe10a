// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-check must notice what a broken fiar-raise-block would make.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check_holds.h"

// What fiar-opt --mlir-print-op-generic prints of two programs. clang-format off
// A norm, its product with a matrix that lies transposed, and that one transposed.
static const char norm_model[] =
    "\"builtin.module\"() ({\n"
    "  \"func.func\"() <{function_type = (tensor<3x64xbf16>, tensor<64xbf16>, tensor<64x64xbf16>) -> (tensor<3x64xbf16>, tensor<64x3xbf16>), sym_name = \"main\"}> ({\n"
    "  ^bb0(%arg0: tensor<3x64xbf16>, %arg1: tensor<64xbf16>, %arg2: tensor<64x64xbf16>):\n"
    "    %0 = \"stablehlo.constant\"() <{value = dense<9.99999997E-7> : tensor<3x1xf32>}> : () -> tensor<3x1xf32>\n"
    "    %1 = \"stablehlo.constant\"() <{value = dense<6.400000e+01> : tensor<3x1xf32>}> : () -> tensor<3x1xf32>\n"
    "    %2 = \"stablehlo.constant\"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>\n"
    "    %3 = \"stablehlo.convert\"(%arg0) : (tensor<3x64xbf16>) -> tensor<3x64xf32>\n"
    "    %4 = \"stablehlo.multiply\"(%3, %3) : (tensor<3x64xf32>, tensor<3x64xf32>) -> tensor<3x64xf32>\n"
    "    %5 = \"stablehlo.reduce\"(%4, %2) <{dimensions = array<i64: 1>}> ({\n"
    "    ^bb0(%arg3: tensor<f32>, %arg4: tensor<f32>):\n"
    "      %17 = \"stablehlo.add\"(%arg3, %arg4) : (tensor<f32>, tensor<f32>) -> tensor<f32>\n"
    "      \"stablehlo.return\"(%17) : (tensor<f32>) -> ()\n"
    "    }) : (tensor<3x64xf32>, tensor<f32>) -> tensor<3xf32>\n"
    "    %6 = \"stablehlo.reshape\"(%5) : (tensor<3xf32>) -> tensor<3x1xf32>\n"
    "    %7 = \"stablehlo.divide\"(%6, %1) : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>\n"
    "    %8 = \"stablehlo.add\"(%7, %0) : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>\n"
    "    %9 = \"stablehlo.rsqrt\"(%8) : (tensor<3x1xf32>) -> tensor<3x1xf32>\n"
    "    %10 = \"stablehlo.broadcast_in_dim\"(%9) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<3x1xf32>) -> tensor<3x64xf32>\n"
    "    %11 = \"stablehlo.multiply\"(%3, %10) : (tensor<3x64xf32>, tensor<3x64xf32>) -> tensor<3x64xf32>\n"
    "    %12 = \"stablehlo.convert\"(%11) : (tensor<3x64xf32>) -> tensor<3x64xbf16>\n"
    "    %13 = \"stablehlo.broadcast_in_dim\"(%arg1) <{broadcast_dimensions = array<i64: 1>}> : (tensor<64xbf16>) -> tensor<3x64xbf16>\n"
    "    %14 = \"stablehlo.multiply\"(%12, %13) : (tensor<3x64xbf16>, tensor<3x64xbf16>) -> tensor<3x64xbf16>\n"
    "    %15 = \"stablehlo.dot_general\"(%14, %arg2) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [1]>}> : (tensor<3x64xbf16>, tensor<64x64xbf16>) -> tensor<3x64xbf16>\n"
    "    %16 = \"stablehlo.transpose\"(%15) <{permutation = array<i64: 1, 0>}> : (tensor<3x64xbf16>) -> tensor<64x3xbf16>\n"
    "    \"func.return\"(%14, %16) : (tensor<3x64xbf16>, tensor<64x3xbf16>) -> ()\n"
    "  }) : () -> ()\n"
    "}) : () -> ()\n";

// A product with scales and a bias, silu of it times another value, and codes.
static const char silu_model[] =
    "\"builtin.module\"() ({\n"
    "  \"func.func\"() <{function_type = (tensor<8x64xbf16>, tensor<64x8xbf16>, tensor<8x8xbf16>, tensor<8xf32>, tensor<f32>, tensor<8xf32>, tensor<f32>) -> (tensor<8x8xbf16>, tensor<8x8xf8E4M3FN>), sym_name = \"main\"}> ({\n"
    "  ^bb0(%arg0: tensor<8x64xbf16>, %arg1: tensor<64x8xbf16>, %arg2: tensor<8x8xbf16>, %arg3: tensor<8xf32>, %arg4: tensor<f32>, %arg5: tensor<8xf32>, %arg6: tensor<f32>):\n"
    "    %0 = \"stablehlo.dot_general\"(%arg0, %arg1) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> : (tensor<8x64xbf16>, tensor<64x8xbf16>) -> tensor<8x8xf32>\n"
    "    %1 = \"stablehlo.broadcast_in_dim\"(%arg4) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8xf32>\n"
    "    %2 = \"stablehlo.multiply\"(%0, %1) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %3 = \"stablehlo.broadcast_in_dim\"(%arg3) <{broadcast_dimensions = array<i64: 0>}> : (tensor<8xf32>) -> tensor<8x8xf32>\n"
    "    %4 = \"stablehlo.multiply\"(%2, %3) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %5 = \"stablehlo.broadcast_in_dim\"(%arg5) <{broadcast_dimensions = array<i64: 1>}> : (tensor<8xf32>) -> tensor<8x8xf32>\n"
    "    %6 = \"stablehlo.add\"(%4, %5) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %7 = \"stablehlo.convert\"(%6) : (tensor<8x8xf32>) -> tensor<8x8xbf16>\n"
    "    %8 = \"stablehlo.convert\"(%7) : (tensor<8x8xbf16>) -> tensor<8x8xf32>\n"
    "    %9 = \"stablehlo.negate\"(%8) : (tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %10 = \"stablehlo.exponential\"(%9) : (tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %11 = \"stablehlo.constant\"() <{value = dense<1.000000e+00> : tensor<8x8xf32>}> : () -> tensor<8x8xf32>\n"
    "    %12 = \"stablehlo.add\"(%11, %10) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %13 = \"stablehlo.divide\"(%11, %12) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %14 = \"stablehlo.multiply\"(%8, %13) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %15 = \"stablehlo.convert\"(%14) : (tensor<8x8xf32>) -> tensor<8x8xbf16>\n"
    "    %16 = \"stablehlo.multiply\"(%15, %arg2) : (tensor<8x8xbf16>, tensor<8x8xbf16>) -> tensor<8x8xbf16>\n"
    "    %17 = \"stablehlo.convert\"(%16) : (tensor<8x8xbf16>) -> tensor<8x8xf32>\n"
    "    %18 = \"stablehlo.broadcast_in_dim\"(%arg6) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8xf32>\n"
    "    %19 = \"stablehlo.divide\"(%17, %18) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %20 = \"stablehlo.constant\"() <{value = dense<-4.480000e+02> : tensor<8x8xf32>}> : () -> tensor<8x8xf32>\n"
    "    %21 = \"stablehlo.constant\"() <{value = dense<4.480000e+02> : tensor<8x8xf32>}> : () -> tensor<8x8xf32>\n"
    "    %22 = \"stablehlo.clamp\"(%20, %19, %21) : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
    "    %23 = \"stablehlo.convert\"(%22) : (tensor<8x8xf32>) -> tensor<8x8xf8E4M3FN>\n"
    "    \"func.return\"(%7, %23) : (tensor<8x8xbf16>, tensor<8x8xf8E4M3FN>) -> ()\n"
    "  }) : () -> ()\n"
    "}) : () -> ()\n";
// clang-format on

typedef struct wrong_rewrite {
  const char *claim, *model;
  check_breakage_t breakage;
} wrong_rewrite_t;

static MlirLogicalResult raise_and_break(MlirOperation clone, void* data) {
  FiarRaiseCounts counts = {0};
  MlirLogicalResult result = fiarRaiseBlock(clone, NULL, &counts);
  assert_int_equal(counts.left, 0);
  check_break(clone, data);
  return result;
}

static bool holds(const char* model, const check_breakage_t* breakage) {
  return check_holds_with(model, (FiarCheckOptions){.struct_size = sizeof(FiarCheckOptions),
                                                    .rewrite = raise_and_break,
                                                    .rewrite_data = (void*)(uintptr_t)breakage,
                                                    .seeds = 2,
                                                    .products = true});
}

static void the_right_rewrite_holds(void** state) {
  (void)state;
  assert_true(holds(norm_model, NULL));
  assert_true(holds(silu_model, NULL));
}

static void every_wrong_rewrite_is_noticed(void** state) {
  (void)state;
  static const wrong_rewrite_t wrong[] = {
      {"a scale that divides", silu_model, {"fiar.matmul", "a_scale_is", "\"multiplier\"", 0, 0}},
      {"bias and the rows' scales changed", silu_model, {"fiar.matmul", NULL, NULL, 2, 4}},
      {"a matrix that does not lie transposed",
       norm_model,
       {"fiar.matmul", "b_transposed", "false", 0, 0}},
      {"gate and up changed", silu_model, {"fiar.activate", NULL, NULL, 0, 1}},
      {"silu not rounded before the product",
       silu_model,
       {"fiar.activate", "rounding", "\"none\"", 0, 0}},
      {"another activation", silu_model, {"fiar.activate", "activation", "\"gelu\"", 0, 0}},
      {"a sum for a product", silu_model, {"fiar.activate", "combine", "\"add\"", 0, 0}},
      {"silu rounded at every step", silu_model, {"fiar.activate", "rounding", "\"each\"", 0, 0}},
      {"a quantiser's scale that multiplies",
       silu_model,
       {"fiar.activate", "scale_is", "\"multiplier\"", 0, 0}},
      {"another eps", norm_model, {"fiar.rms_norm", "eps", "10.0 : f32", 0, 0}},
      {"a weight product before the rounding",
       norm_model,
       {"fiar.rms_norm", "norm_rounding", "\"after_weight\"", 0, 0}},
      {"a copy that is not transposed", norm_model, {"fiar.copy", "transposed", "false", 0, 0}},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    if (holds(wrong[i].model, &wrong[i].breakage)) {
      fail_msg("fiar-check does not notice %s", wrong[i].claim);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_rewrite_holds),
      cmocka_unit_test(every_wrong_rewrite_is_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
