module @jit_scaled_dot_general attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<8x64xbf16>, %arg1: tensor<16x64xbf16>) -> (tensor<8x16xbf16> {jax.result_info = "result"}) {
    %cst = stablehlo.constant dense<2.000000e+00> : tensor<1xf32>
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1] : (tensor<8x64xbf16>) -> tensor<8x64x1xbf16>
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [0, 1] : (tensor<16x64xbf16>) -> tensor<16x64x1xbf16>
    %2 = stablehlo.transpose %0, dims = [2, 0, 1] : (tensor<8x64x1xbf16>) -> tensor<1x8x64xbf16>
    %3 = stablehlo.transpose %1, dims = [2, 0, 1] : (tensor<16x64x1xbf16>) -> tensor<1x16x64xbf16>
    %4 = stablehlo.reshape %2 : (tensor<1x8x64xbf16>) -> tensor<1x8x4x16xbf16>
    %5 = stablehlo.convert %4 : (tensor<1x8x4x16xbf16>) -> tensor<1x8x4x16xf32>
    %6 = stablehlo.broadcast_in_dim %cst, dims = [3] : (tensor<1xf32>) -> tensor<1x1x1x1xf32>
    %7 = stablehlo.broadcast_in_dim %6, dims = [0, 1, 2, 3] : (tensor<1x1x1x1xf32>) -> tensor<1x8x4x16xf32>
    %8 = stablehlo.divide %5, %7 : tensor<1x8x4x16xf32>
    %9 = stablehlo.abs %8 : tensor<1x8x4x16xf32>
    %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %10 = stablehlo.reduce(%9 init: %cst_0) applies stablehlo.maximum across dimensions = [3] : (tensor<1x8x4x16xf32>, tensor<f32>) -> tensor<1x8x4xf32>
    %11 = stablehlo.broadcast_in_dim %10, dims = [0, 1, 2] : (tensor<1x8x4xf32>) -> tensor<1x8x4x1xf32>
    %cst_1 = stablehlo.constant dense<6.000000e+00> : tensor<f32>
    %12 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<1x8x4x1xf32>
    %13 = stablehlo.divide %11, %12 : tensor<1x8x4x1xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %cst_2 = stablehlo.constant dense<4.480000e+02> : tensor<bf16>
    %14 = call @clip(%13, %c, %cst_2) : (tensor<1x8x4x1xf32>, tensor<i32>, tensor<bf16>) -> tensor<1x8x4x1xf32>
    %15 = stablehlo.convert %14 : (tensor<1x8x4x1xf32>) -> tensor<1x8x4x1xf8E4M3FN>
    %16 = stablehlo.optimization_barrier %15 : tensor<1x8x4x1xf8E4M3FN>
    %17 = stablehlo.convert %16 : (tensor<1x8x4x1xf8E4M3FN>) -> tensor<1x8x4x1xf32>
    %18 = stablehlo.broadcast_in_dim %17, dims = [0, 1, 2, 3] : (tensor<1x8x4x1xf32>) -> tensor<1x8x4x16xf32>
    %19 = stablehlo.divide %8, %18 : tensor<1x8x4x16xf32>
    %cst_3 = stablehlo.constant dense<-6.000000e+00> : tensor<bf16>
    %cst_4 = stablehlo.constant dense<6.000000e+00> : tensor<bf16>
    %20 = call @clip_0(%19, %cst_3, %cst_4) : (tensor<1x8x4x16xf32>, tensor<bf16>, tensor<bf16>) -> tensor<1x8x4x16xf32>
    %21 = stablehlo.convert %20 : (tensor<1x8x4x16xf32>) -> tensor<1x8x4x16xf4E2M1FN>
    %22 = stablehlo.reshape %21 : (tensor<1x8x4x16xf4E2M1FN>) -> tensor<1x8x64xf4E2M1FN>
    %23 = stablehlo.reshape %16 : (tensor<1x8x4x1xf8E4M3FN>) -> tensor<1x8x4xf8E4M3FN>
    %24 = stablehlo.reshape %3 : (tensor<1x16x64xbf16>) -> tensor<1x16x4x16xbf16>
    %25 = stablehlo.convert %24 : (tensor<1x16x4x16xbf16>) -> tensor<1x16x4x16xf32>
    %26 = stablehlo.broadcast_in_dim %cst, dims = [3] : (tensor<1xf32>) -> tensor<1x1x1x1xf32>
    %27 = stablehlo.broadcast_in_dim %26, dims = [0, 1, 2, 3] : (tensor<1x1x1x1xf32>) -> tensor<1x16x4x16xf32>
    %28 = stablehlo.divide %25, %27 : tensor<1x16x4x16xf32>
    %29 = stablehlo.abs %28 : tensor<1x16x4x16xf32>
    %cst_5 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %30 = stablehlo.reduce(%29 init: %cst_5) applies stablehlo.maximum across dimensions = [3] : (tensor<1x16x4x16xf32>, tensor<f32>) -> tensor<1x16x4xf32>
    %31 = stablehlo.broadcast_in_dim %30, dims = [0, 1, 2] : (tensor<1x16x4xf32>) -> tensor<1x16x4x1xf32>
    %cst_6 = stablehlo.constant dense<6.000000e+00> : tensor<f32>
    %32 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<f32>) -> tensor<1x16x4x1xf32>
    %33 = stablehlo.divide %31, %32 : tensor<1x16x4x1xf32>
    %c_7 = stablehlo.constant dense<0> : tensor<i32>
    %cst_8 = stablehlo.constant dense<4.480000e+02> : tensor<bf16>
    %34 = call @clip_1(%33, %c_7, %cst_8) : (tensor<1x16x4x1xf32>, tensor<i32>, tensor<bf16>) -> tensor<1x16x4x1xf32>
    %35 = stablehlo.convert %34 : (tensor<1x16x4x1xf32>) -> tensor<1x16x4x1xf8E4M3FN>
    %36 = stablehlo.optimization_barrier %35 : tensor<1x16x4x1xf8E4M3FN>
    %37 = stablehlo.convert %36 : (tensor<1x16x4x1xf8E4M3FN>) -> tensor<1x16x4x1xf32>
    %38 = stablehlo.broadcast_in_dim %37, dims = [0, 1, 2, 3] : (tensor<1x16x4x1xf32>) -> tensor<1x16x4x16xf32>
    %39 = stablehlo.divide %28, %38 : tensor<1x16x4x16xf32>
    %cst_9 = stablehlo.constant dense<-6.000000e+00> : tensor<bf16>
    %cst_10 = stablehlo.constant dense<6.000000e+00> : tensor<bf16>
    %40 = call @clip_2(%39, %cst_9, %cst_10) : (tensor<1x16x4x16xf32>, tensor<bf16>, tensor<bf16>) -> tensor<1x16x4x16xf32>
    %41 = stablehlo.convert %40 : (tensor<1x16x4x16xf32>) -> tensor<1x16x4x16xf4E2M1FN>
    %42 = stablehlo.reshape %41 : (tensor<1x16x4x16xf4E2M1FN>) -> tensor<1x16x64xf4E2M1FN>
    %43 = stablehlo.reshape %36 : (tensor<1x16x4x1xf8E4M3FN>) -> tensor<1x16x4xf8E4M3FN>
    %44 = call @_scaled_matmul(%22, %42, %23, %43) : (tensor<1x8x64xf4E2M1FN>, tensor<1x16x64xf4E2M1FN>, tensor<1x8x4xf8E4M3FN>, tensor<1x16x4xf8E4M3FN>) -> tensor<1x8x16xf32>
    %45 = stablehlo.multiply %cst, %cst : tensor<1xf32>
    %46 = stablehlo.broadcast_in_dim %45, dims = [2] : (tensor<1xf32>) -> tensor<1x1x1xf32>
    %47 = stablehlo.broadcast_in_dim %46, dims = [0, 1, 2] : (tensor<1x1x1xf32>) -> tensor<1x8x16xf32>
    %48 = stablehlo.multiply %44, %47 : tensor<1x8x16xf32>
    %49 = stablehlo.convert %48 : (tensor<1x8x16xf32>) -> tensor<1x8x16xbf16>
    %50 = stablehlo.reshape %49 : (tensor<1x8x16xbf16>) -> tensor<8x16xbf16>
    return %50 : tensor<8x16xbf16>
  }
  func.func private @clip(%arg0: tensor<1x8x4x1xf32>, %arg1: tensor<i32>, %arg2: tensor<bf16>) -> tensor<1x8x4x1xf32> {
    %0 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x8x4x1xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<1x8x4x1xf32>
    %3 = stablehlo.convert %arg2 : (tensor<bf16>) -> tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<1x8x4x1xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<1x8x4x1xf32>
    return %5 : tensor<1x8x4x1xf32>
  }
  func.func private @clip_0(%arg0: tensor<1x8x4x16xf32>, %arg1: tensor<bf16>, %arg2: tensor<bf16>) -> tensor<1x8x4x16xf32> {
    %0 = stablehlo.convert %arg1 : (tensor<bf16>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x8x4x16xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<1x8x4x16xf32>
    %3 = stablehlo.convert %arg2 : (tensor<bf16>) -> tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<1x8x4x16xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<1x8x4x16xf32>
    return %5 : tensor<1x8x4x16xf32>
  }
  func.func private @clip_1(%arg0: tensor<1x16x4x1xf32>, %arg1: tensor<i32>, %arg2: tensor<bf16>) -> tensor<1x16x4x1xf32> {
    %0 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x16x4x1xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<1x16x4x1xf32>
    %3 = stablehlo.convert %arg2 : (tensor<bf16>) -> tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<1x16x4x1xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<1x16x4x1xf32>
    return %5 : tensor<1x16x4x1xf32>
  }
  func.func private @clip_2(%arg0: tensor<1x16x4x16xf32>, %arg1: tensor<bf16>, %arg2: tensor<bf16>) -> tensor<1x16x4x16xf32> {
    %0 = stablehlo.convert %arg1 : (tensor<bf16>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x16x4x16xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<1x16x4x16xf32>
    %3 = stablehlo.convert %arg2 : (tensor<bf16>) -> tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<1x16x4x16xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<1x16x4x16xf32>
    return %5 : tensor<1x16x4x16xf32>
  }
  func.func private @_scaled_matmul(%arg0: tensor<1x8x64xf4E2M1FN>, %arg1: tensor<1x16x64xf4E2M1FN>, %arg2: tensor<1x8x4xf8E4M3FN>, %arg3: tensor<1x16x4xf8E4M3FN>) -> tensor<1x8x16xf32> {
    %0 = stablehlo.custom_call @__op$block_scaled_dot(%arg0, %arg1, %arg2, %arg3) {api_version = 2 : i32, backend_config = "{\22scaled_dot_backend_config\22: {\22lhs_batch_dimensions\22: [0], \22rhs_batch_dimensions\22: [0], \22dequantize_type\22: \22F32\22}}", operand_layouts = [dense<[2, 1, 0]> : tensor<3xindex>, dense<[2, 1, 0]> : tensor<3xindex>, dense<[2, 1, 0]> : tensor<3xindex>, dense<[2, 1, 0]> : tensor<3xindex>], result_layouts = [dense<[2, 1, 0]> : tensor<3xindex>]} : (tensor<1x8x64xf4E2M1FN>, tensor<1x16x64xf4E2M1FN>, tensor<1x8x4xf8E4M3FN>, tensor<1x16x4xf8E4M3FN>) -> tensor<1x8x16xf32>
    return %0 : tensor<1x8x16xf32>
  }
}
