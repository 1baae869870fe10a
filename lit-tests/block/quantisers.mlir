// Quantisers that no norm precedes: behind silu one op, else one of their own; what they cannot say stays.
// RUN: fiar-opt %s --fiar-raise-block -split-input-file 2>/dev/null | FileCheck %s
// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-raise-block{separate=true})' -split-input-file 2>/dev/null | FileCheck %s --check-prefix=SEPARATE

// CHECK-LABEL: @behind_silu
// CHECK-NEXT:    %[[Q:.*]]:2 = "fiar.activate"(%arg0, %arg1, %arg2) {{.*}}quant = "fp8_static"{{.*}}rounding = "none", scale_is = "divisor"
// CHECK-NEXT:    return %[[Q]]#1
// SEPARATE-LABEL: @behind_silu
// SEPARATE-NEXT:  %[[H:.*]] = "fiar.activate"(%arg0, %arg1) {{.*}}quant = "none"
// SEPARATE-NEXT:  "fiar.quantize"(%[[H]], %arg2)
func.func @behind_silu(%g: tensor<4x16xf32>, %u: tensor<4x16xf32>, %s: tensor<f32>) -> tensor<4x16xf8E4M3FN> {
  %low = stablehlo.constant dense<-448.0> : tensor<4x16xf32>
  %high = stablehlo.constant dense<448.0> : tensor<4x16xf32>
  %0 = stablehlo.logistic %g : tensor<4x16xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<4x16xf32>
  %2 = stablehlo.multiply %1, %u : tensor<4x16xf32>
  %3 = stablehlo.convert %2 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  %4 = stablehlo.convert %3 : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %5 = stablehlo.broadcast_in_dim %s, dims = [] : (tensor<f32>) -> tensor<4x16xf32>
  %6 = stablehlo.divide %4, %5 : tensor<4x16xf32>
  %7 = stablehlo.clamp %low, %6, %high : tensor<4x16xf32>
  %8 = stablehlo.convert %7 : (tensor<4x16xf32>) -> tensor<4x16xf8E4M3FN>
  return %8 : tensor<4x16xf8E4M3FN>
}

// -----
// One scale a token, of an argument.
// CHECK-LABEL: @token
// CHECK-NEXT:    %[[Q:.*]]:2 = "fiar.quantize"(%arg0) {{.*}}quant = "fp8_token"{{.*}}scale_min = 9.99999996E-13 : f32
// CHECK-NEXT:    return %[[Q]]#0, %[[Q]]#1
func.func @token(%x: tensor<4x16xbf16>) -> (tensor<4x16xf8E4M3FN>, tensor<4x1xf32>) {
  %lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %range = stablehlo.constant dense<448.0> : tensor<4x1xf32>
  %floor = stablehlo.constant dense<9.99999996E-13> : tensor<4x1xf32>
  %0 = stablehlo.convert %x : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.abs %0 : tensor<4x16xf32>
  %2 = stablehlo.reduce(%1 init: %lowest) applies stablehlo.maximum across dimensions = [1] : (tensor<4x16xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
  %4 = stablehlo.divide %3, %range : tensor<4x1xf32>
  %5 = stablehlo.maximum %4, %floor : tensor<4x1xf32>
  %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x16xf32>
  %7 = stablehlo.divide %0, %6 : tensor<4x16xf32>
  %8 = stablehlo.convert %7 : (tensor<4x16xf32>) -> tensor<4x16xf8E4M3FN>
  return %8, %5 : tensor<4x16xf8E4M3FN>, tensor<4x1xf32>
}

// -----
// Without a clamp the source's conversion gives NaN beyond 448: it stays.
// CHECK-LABEL: @open
// CHECK-NOT:     fiar.quantize
// CHECK:         "stablehlo.convert"{{.*}}f8E4M3FN
func.func @open(%x: tensor<4x16xbf16>, %s: tensor<f32>) -> tensor<4x16xf8E4M3FN> {
  %0 = stablehlo.convert %x : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.broadcast_in_dim %s, dims = [] : (tensor<f32>) -> tensor<4x16xf32>
  %2 = stablehlo.divide %0, %1 : tensor<4x16xf32>
  %3 = stablehlo.convert %2 : (tensor<4x16xf32>) -> tensor<4x16xf8E4M3FN>
  return %3 : tensor<4x16xf8E4M3FN>
}

// -----
// The same of a part of an argument.
// CHECK-LABEL: @part
// CHECK-NEXT:    %[[P:.*]] = "stablehlo.slice"(%arg0)
// CHECK-NEXT:    "fiar.quantize"(%[[P]])
func.func @part(%xx: tensor<4x32xbf16>) -> (tensor<4x16xf8E4M3FN>, tensor<4x1xf32>) {
  %x = stablehlo.slice %xx [0:4, 0:16] : (tensor<4x32xbf16>) -> tensor<4x16xbf16>
  %lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %range = stablehlo.constant dense<448.0> : tensor<4x1xf32>
  %floor = stablehlo.constant dense<9.99999996E-13> : tensor<4x1xf32>
  %0 = stablehlo.convert %x : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.abs %0 : tensor<4x16xf32>
  %2 = stablehlo.reduce(%1 init: %lowest) applies stablehlo.maximum across dimensions = [1] : (tensor<4x16xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
  %4 = stablehlo.divide %3, %range : tensor<4x1xf32>
  %5 = stablehlo.maximum %4, %floor : tensor<4x1xf32>
  %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x16xf32>
  %7 = stablehlo.divide %0, %6 : tensor<4x16xf32>
  %8 = stablehlo.convert %7 : (tensor<4x16xf32>) -> tensor<4x16xf8E4M3FN>
  return %8, %5 : tensor<4x16xf8E4M3FN>, tensor<4x1xf32>
}

// -----
// What is quantised in another shape, and used in it, too, keeps that shape there.
// CHECK-LABEL: @reshaped
// CHECK-NEXT:    %[[Q:.*]]:2 = "fiar.quantize"(%arg0)
// CHECK-NEXT:    %[[M:.*]] = "stablehlo.reshape"(%arg0)
// CHECK-NEXT:    return %[[Q]]#0, %[[Q]]#1, %[[M]]
func.func @reshaped(%x: tensor<2x4x16xbf16>) -> (tensor<8x16xf8E4M3FN>, tensor<8x1xf32>, tensor<8x16xbf16>) {
  %lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %range = stablehlo.constant dense<448.0> : tensor<8x1xf32>
  %m = stablehlo.reshape %x : (tensor<2x4x16xbf16>) -> tensor<8x16xbf16>
  %0 = stablehlo.convert %m : (tensor<8x16xbf16>) -> tensor<8x16xf32>
  %1 = stablehlo.abs %0 : tensor<8x16xf32>
  %2 = stablehlo.reduce(%1 init: %lowest) applies stablehlo.maximum across dimensions = [1] : (tensor<8x16xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<8xf32>) -> tensor<8x1xf32>
  %4 = stablehlo.divide %3, %range : tensor<8x1xf32>
  %5 = stablehlo.broadcast_in_dim %4, dims = [0, 1] : (tensor<8x1xf32>) -> tensor<8x16xf32>
  %6 = stablehlo.divide %0, %5 : tensor<8x16xf32>
  %7 = stablehlo.convert %6 : (tensor<8x16xf32>) -> tensor<8x16xf8E4M3FN>
  return %7, %4, %m : tensor<8x16xf8E4M3FN>, tensor<8x1xf32>, tensor<8x16xbf16>
}

// -----
// The same where nothing uses the codes, for which there is no op then.
// CHECK-LABEL: @reshaped_alone
// CHECK:         %[[M:.*]] = "stablehlo.broadcast_in_dim"(%arg0)
// CHECK-NOT:     fiar.quantize
// CHECK:         return %[[M]]
func.func @reshaped_alone(%x: tensor<4x16xbf16>) -> tensor<1x4x16xbf16> {
  %low = stablehlo.constant dense<-448.0> : tensor<f32>
  %high = stablehlo.constant dense<448.0> : tensor<f32>
  %m = stablehlo.broadcast_in_dim %x, dims = [1, 2] : (tensor<4x16xbf16>) -> tensor<1x4x16xbf16>
  %0 = stablehlo.convert %m : (tensor<1x4x16xbf16>) -> tensor<1x4x16xf32>
  %1 = stablehlo.clamp %low, %0, %high : (tensor<f32>, tensor<1x4x16xf32>, tensor<f32>) -> tensor<1x4x16xf32>
  %2 = stablehlo.convert %1 : (tensor<1x4x16xf32>) -> tensor<1x4x16xf8E4M3FN>
  return %m : tensor<1x4x16xbf16>
}

// -----
// nvfp4 as jax.nn writes it: its scales are at most 448, which those of sums of products may exceed (lit-tests/check/raise.test).
// CHECK-LABEL: @bounded
// CHECK:         "fiar.quantize"(%{{.*}}, %arg2) {{.*}}quant = "nvfp4"
func.func @bounded(%a: tensor<4x64xbf16>, %b: tensor<64x64xbf16>, %g: tensor<f32>) -> (tensor<4x4x16xf4E2M1FN>, tensor<4x4xf8E4M3FN>) {
  %none = stablehlo.constant dense<0.0> : tensor<f32>
  %six = stablehlo.constant dense<6.0> : tensor<4x4xf32>
  %range = stablehlo.constant dense<448.0> : tensor<f32>
  %low = stablehlo.constant dense<-6.0> : tensor<f32>
  %high = stablehlo.constant dense<6.0> : tensor<f32>
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
  %1 = stablehlo.reshape %0 : (tensor<4x64xbf16>) -> tensor<4x4x16xbf16>
  %2 = stablehlo.convert %1 : (tensor<4x4x16xbf16>) -> tensor<4x4x16xf32>
  %3 = stablehlo.broadcast_in_dim %g, dims = [] : (tensor<f32>) -> tensor<4x4x16xf32>
  %4 = stablehlo.divide %2, %3 : tensor<4x4x16xf32>
  %5 = stablehlo.abs %4 : tensor<4x4x16xf32>
  %6 = stablehlo.reduce(%5 init: %none) applies stablehlo.maximum across dimensions = [2] : (tensor<4x4x16xf32>, tensor<f32>) -> tensor<4x4xf32>
  %7 = stablehlo.divide %6, %six : tensor<4x4xf32>
  %8 = stablehlo.clamp %none, %7, %range : (tensor<f32>, tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xf32>
  %9 = stablehlo.convert %8 : (tensor<4x4xf32>) -> tensor<4x4xf8E4M3FN>
  %10 = stablehlo.convert %9 : (tensor<4x4xf8E4M3FN>) -> tensor<4x4xf32>
  %11 = stablehlo.broadcast_in_dim %10, dims = [0, 1] : (tensor<4x4xf32>) -> tensor<4x4x16xf32>
  %12 = stablehlo.divide %4, %11 : tensor<4x4x16xf32>
  %13 = stablehlo.clamp %low, %12, %high : (tensor<f32>, tensor<4x4x16xf32>, tensor<f32>) -> tensor<4x4x16xf32>
  %14 = stablehlo.convert %13 : (tensor<4x4x16xf32>) -> tensor<4x4x16xf4E2M1FN>
  return %14, %9 : tensor<4x4x16xf4E2M1FN>, tensor<4x4xf8E4M3FN>
}
