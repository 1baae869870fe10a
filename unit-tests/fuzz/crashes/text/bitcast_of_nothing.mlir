module {
  func.func @main(%a0: tensor<16x512xbf16>, %a1: tensor<16x512xbf16>, %a2: tensor<512xbf16>) -> (tensor<16x512xf8E4M3FN>, tensor<16x4xf32>) {
    %v1 = "stablehlo.all_reduce"(%a0) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>, use_global_device_ids}> ({
    ^bb0(%x: tensor<bf16>, %y: tensor<bf16>):
      %r = "stablehlo.add"(%x, %y) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
      "stablehlo.return"(%r) : (tensor<bf16>) -> ()
    }) : (tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %v2 = "stablehlo.add"(%v1, %a1) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %v3 = "stablehlo.convert"(%v2) : (tensor<16x512xbf16>) -> tensor<16x512xf32>
    %v4 = "stablehlo.multiply"(%v3, %v3) : (tensor<16x512xf32>, tensor<16x512xf32>) -> tensor<16x512xf32>
    %v5 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %v6 = "stablehlo.reduce"(%v4, %v5) <{dimensions = array<i64: 1>}> ({
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %r = "stablehlo.add"(%x, %y) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%r) : (tensor<f32>) -> ()
    }) : (tensor<16x512xf32>, tensor<f32>) -> tensor<16xf32>
    %v7 = "stablehlo.broadcast_in_dim"(%v6) <{broadcast_dimensions = array<i64: 0>}> : (tensor<16xf32>) -> tensor<16x1xf32>
    %v8 = "stablehlo.constant"() <{value = dense<5.120000000e+02> : tensor<f32>}> : () -> tensor<f32>
    %v9 = "stablehlo.broadcast_in_dim"(%v8) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
    %v10 = "stablehlo.divide"(%v7, %v9) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
    %v11 = "stablehlo.constant"() <{value = dense<1.000000000e-06> : tensor<f32>}> : () -> tensor<f32>
    %v12 = "stablehlo.broadcast_in_dim"(%v11) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
    %v13 = "stablehlo.add"(%v10, %v12) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
    %v14 = "stablehlo.rsqrt"(%v13) : (tensor<16x1xf32>) -> tensor<16x1xf32>
    %v15 = "stablehlo.broadcast_in_dim"(%v14) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x1xf32>) -> tensor<16x512xf32>
    %v16 = "stablehlo.multiply"(%v3, %v15) : (tensor<16x512xf32>, tensor<16x512xf32>) -> tensor<16x512xf32>
    %v17 = "stablehlo.convert"(%v16) : (tensor<16x512xf32>) -> tensor<16x512xbf16>
    %v18 = "stablehlo.broadcast_in_dim"(%a2) <{broadcast_dimensions = array<i64: 1>}> : (tensor<512xbf16>) -> tensor<1x512xbf16>
    %v19 = "stablehlo.broadcast_in_dim"(%v18) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x512xbf16>) -> tensor<16x512xbf16>
    %v20 = "stablehlo.multiply"(%v17, %v19) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %v21 = "stablehlo.convert"(%v20) : (tensor<16x512xbf16>) -> tensor<16x512xf32>
    %v22 = "stablehlo.reshape"(%v21) : (tensor<16x512xf32>) -> tensor<16x4x128xf32>
    %v23 = "stablehlo.abs"(%v22) : (tensor<16x4x128xf32>) -> tensor<16x4x128xf32>
    %v24 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
    %v25 = "stablehlo.reduce"(%v23, %v24) <{dimensions = array<i64: 2>}> ({
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %r = "stablehlo.maximum"(%x, %y) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%r) : (tensor<f32>) -> ()
    }) : (tensor<16x4x128xf32>, tensor<f32>) -> tensor<16x4xf32>
    %v26 = "stablehlo.broadcast_in_dim"(%v25) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x4xf32>) -> tensor<16x4x1xf32>
    %v27 = "stablehlo.constant"() <{value = dense<1.000000000e-04> : tensor<f32>}> : () -> tensor<f32>
    %v28 = "stablehlo.broadcast_in_dim"(%v27) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x4x1xf32>
    %v29 = "stablehlo.maximum"(%v26, %v28) : (tensor<16x4x1xf32>, tensor<16x4x1xf32>) -> tensor<16x4x1xf32>
    %v30 = "stablehlo.bitcast_convert"() <{value = dense<4.480000000e+02> : tensor<f32>}> : () -> tensor<f32>
    %v31 = "stablehlo.broadcast_in_dim"(%v30) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x4x1xf32>
    %v32 = "stablehlo.divide"(%v29, %v31) : (tensor<16x4x1xf32>, tensor<16x4x1xf32>) -> tensor<16x4x1xf32>
    %v33 = "stablehlo.bitcast_convert"(%v32) : (tensor<16x4x1xf32>) -> tensor<16x4x1xi32>
    %v34 = "stablehlo.constant"() <{value = dense<8388607> : tensor<i32>}> : () -> tensor<i32>
    %v35 = "stablehlo.broadcast_in_dim"(%v34) <{broadcast_dimensions = array<i64>}> : (tensor<i32>) -> tensor<16x4x1xi32>
    %v36 = "stablehlo.add"(%v33, %v35) : (tensor<16x4x1xi32>, tensor<16x4x1xi32>) -> tensor<16x4x1xi32>
    %v37 = "stablehlo.constant"() <{value = dense<2139095040> : tensor<i32>}> : () -> tensor<i32>
    %v38 = "stablehlo.broadcast_in_dim"(%v37) <{broadcast_dimensions = array<i64>}> : (tensor<i32>) -> tensor<16x4x1xi32>
    %v39 = "stablehlo.and"(%v36, %v38) : (tensor<16x4x1xi32>, tensor<16x4x1xi32>) -> tensor<16x4x1xi32>
    %v40 = "stablehlo.bitcast_convert"(%v39) : (tensor<16x4x1xi32>) -> tensor<16x4x1xf32>
    %v41 = "stablehlo.broadcast_in_dim"(%v40) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<16x4x1xf32>) -> tensor<16x4x128xf32>
    %v42 = "stablehlo.divide"(%v22, %v41) : (tensor<16x4x128xf32>, tensor<16x4x128xf32>) -> tensor<16x4x128xf32>
    %v43 = "stablehlo.convert"(%v42) : (tensor<16x4x128xf32>) -> tensor<16x4x128xf8E4M3FN>
    %v44 = "stablehlo.reshape"(%v43) : (tensor<16x4x128xf8E4M3FN>) -> tensor<16x512xf8E4M3FN>
    %v45 = "stablehlo.reshape"(%v40) : (tensor<16x4x1xf32>) -> tensor<16x4xf32>
    return %v44, %v45 : tensor<16x512xf8E4M3FN>, tensor<16x4xf32>
  }
  
}
