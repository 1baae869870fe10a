module @jit_act_gelu attributes {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["tp"=4]> {stablehlo.mesh = {axes = [{name = "tp", size = 4 : i64}]}}
  sdy.mesh @mesh_0 = <["tp"=4]> {stablehlo.mesh = {axes = [{name = "tp", size = 4 : i64}]}}
  func.func public @main(%arg0: tensor<4x64xbf16>, %arg1: tensor<4x64xbf16>, %arg2: tensor<64xbf16>, %arg3: tensor<64x64xbf16>, %arg4: tensor<64x64xbf16>, %arg5: tensor<64x64xbf16>) -> (tensor<4x64xbf16> {jax.result_info = "result[0]"}, tensor<4x64xbf16> {jax.result_info = "result[1]"}) {
    %0:2 = sdy.manual_computation(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5) in_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}, {}]>, <@mesh, [{}, {}]>, <@mesh, [{}, {}]>] out_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>] manual_axes={"tp"} (%arg6: tensor<4x64xbf16>, %arg7: tensor<4x64xbf16>, %arg8: tensor<64xbf16>, %arg9: tensor<64x64xbf16>, %arg10: tensor<64x64xbf16>, %arg11: tensor<64x64xbf16>) {
      %1 = "stablehlo.all_reduce"(%arg6) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg12: tensor<bf16>, %arg13: tensor<bf16>):
        %52 = stablehlo.add %arg12, %arg13 : tensor<bf16>
        stablehlo.return %52 : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %2 = stablehlo.add %1, %arg7 : tensor<4x64xbf16>
      %3 = stablehlo.convert %2 : (tensor<4x64xbf16>) -> tensor<4x64xf32>
      %4 = stablehlo.multiply %3, %3 : tensor<4x64xf32>
      %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %6 = stablehlo.broadcast_in_dim %5, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_0 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
      %7 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %8 = stablehlo.divide %6, %7 : tensor<4x1xf32>
      %cst_1 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
      %9 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %10 = stablehlo.add %8, %9 : tensor<4x1xf32>
      %11 = stablehlo.rsqrt %10 : tensor<4x1xf32>
      %12 = stablehlo.broadcast_in_dim %11, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
      %13 = stablehlo.multiply %3, %12 : tensor<4x64xf32>
      %14 = stablehlo.convert %13 : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %15 = stablehlo.broadcast_in_dim %arg8, dims = [1] : (tensor<64xbf16>) -> tensor<1x64xbf16>
      %16 = stablehlo.broadcast_in_dim %15, dims = [0, 1] : (tensor<1x64xbf16>) -> tensor<4x64xbf16>
      %17 = stablehlo.multiply %14, %16 : tensor<4x64xbf16>
      %18 = stablehlo.dot_general %17, %arg9, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %19 = stablehlo.multiply %18, %18 : tensor<4x64xbf16>
      %20 = stablehlo.multiply %19, %18 : tensor<4x64xbf16>
      %cst_2 = stablehlo.constant dense<4.467770e-02> : tensor<bf16>
      %21 = stablehlo.broadcast_in_dim %cst_2, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %5 = stablehlo.reduce(%4 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
      %22 = stablehlo.multiply %21, %20 : tensor<4x64xbf16>
      %23 = stablehlo.add %18, %22 : tensor<4x64xbf16>
      %cst_3 = stablehlo.constant dense<7.968750e-01> : tensor<bf16>
      %24 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %25 = stablehlo.multiply %24, %23 : tensor<4x64xbf16>
      %26 = stablehlo.tanh %25 : tensor<4x64xbf16>
      %cst_4 = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
      %27 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %28 = stablehlo.add %27, %26 : tensor<4x64xbf16>
      %cst_5 = stablehlo.constant dense<5.000000e-01> : tensor<bf16>
      %29 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %30 = stablehlo.multiply %29, %28 : tensor<4x64xbf16>
      %31 = stablehlo.multiply %18, %30 : tensor<4x64xbf16>
      %32 = stablehlo.dot_general %17, %arg10, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %33 = stablehlo.multiply %31, %32 : tensor<4x64xbf16>
      %34 = stablehlo.dot_general %33, %arg11, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %35 = "stablehlo.all_reduce"(%34) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg12: tensor<bf16>, %arg13: tensor<bf16>):
        %52 = stablehlo.add %arg12, %arg13 : tensor<bf16>
        stablehlo.return %52 : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %36 = stablehlo.add %35, %2 : tensor<4x64xbf16>
      %37 = stablehlo.convert %36 : (tensor<4x64xbf16>) -> tensor<4x64xf32>
      %38 = stablehlo.multiply %37, %37 : tensor<4x64xf32>
      %cst_6 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %39 = stablehlo.reduce(%38 init: %cst_6) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
      %40 = stablehlo.broadcast_in_dim %39, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_7 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
      %41 = stablehlo.broadcast_in_dim %cst_7, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %42 = stablehlo.divide %40, %41 : tensor<4x1xf32>
      %cst_8 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
      %43 = stablehlo.broadcast_in_dim %cst_8, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %44 = stablehlo.add %42, %43 : tensor<4x1xf32>
      %45 = stablehlo.rsqrt %44 : tensor<4x1xf32>
      %46 = stablehlo.broadcast_in_dim %45, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
      %47 = stablehlo.multiply %37, %46 : tensor<4x64xf32>
      %48 = stablehlo.convert %47 : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %49 = stablehlo.broadcast_in_dim %arg8, dims = [1] : (tensor<64xbf16>) -> tensor<1x64xbf16>
      %50 = stablehlo.broadcast_in_dim %49, dims = [0, 1] : (tensor<1x64xbf16>) -> tensor<4x64xbf16>
      %51 = stablehlo.multiply %48, %50 : tensor<4x64xbf16>
      sdy.return %36, %51 : tensor<4x64xbf16>, tensor<4x64xbf16>
    } : (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<64xbf16>, tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
    return %0#0, %0#1 : tensor<4x64xbf16>, tensor<4x64xbf16>
  }
}
