module {
  func.func @main(%a0: tensor<8x128xbf16>, %a1: tensor<8x128xbf16>, %a2: tensor<128xf32>, %a3: tensor<f32>) -> (tensor<8x128xbf16>, tensor<8x128xf4E2M1FN>, tensor<8x8xf8E4M3FN>) {
    %v1 = "stablehlo.all_reduce"(%a0) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1, 2]]> : tensor<1x3xi64>, use_global_device_ids}> ({
    ^bb0(%x: tensor<bf16>, %y: tensor<bf16>):
      %xw = "stablehlo.convert"(%x) : (tensor<bf16>) -> tensor<f32>
      %yw = "stablehlo.convert"(%y) : (tensor<bf16>) -> tensor<f32>
      %rw = "stablehlo.add"(%yw, %xw) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      %r = "stablehlo.convert"(%rw) : (tensor<f32>) -> tensor<bf16>
      "stablehlo.return"(%r) : (tensor<bf16>) -> ()
    }) : (tensor<8x128xbf16>) -> tensor<8x128xbf16>
    %v2 = "stablehlo.add"(%v1, %a1) : (tensor<8x128xbf16>, tensor<8x128xbf16>) -> tensor<8x128xbf16>
    %v3 = "stablehlo.optimization_barrier"(%v2) : (tensor<8x128xbf16>) -> tensor<8x128xbf16>
    %v4 = "stablehlo.convert"(%v3) : (tensor<8x128xbf16>) -> tensor<8x128xf32>
    %v5 = "stablehlo.constant"() <{value = dense<2.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %v6 = "stablehlo.broadcast_in_dim"(%v5) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x128xf32>
    %v7 = "stablehlo.power"(%v4, %v6) : (tensor<8x128xf32>, tensor<8x128xf32>) -> tensor<8x128xf32>
    %v8 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %v9 = "stablehlo.reduce"(%v7, %v8) <{dimensions = array<i64: 1>}> ({
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %r = "stablehlo.add"(%y, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%r) : (tensor<f32>) -> ()
    }) : (tensor<8x128xf32>, tensor<f32>) -> tensor<8xf32>
    %v10 = "stablehlo.constant"() <{value = dense<7.812500000e-03> : tensor<8xf32>}> : () -> tensor<8xf32>
    %v11 = "stablehlo.multiply"(%v10, %v9) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %v12 = "stablehlo.constant"() <{value = dense<1.000000000e-06> : tensor<f64>}> : () -> tensor<f64>
    %v13 = "stablehlo.convert"(%v12) : (tensor<f64>) -> tensor<f32>
    %v14 = "stablehlo.broadcast_in_dim"(%v13) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8xf32>
    %v15 = "stablehlo.add"(%v11, %v14) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %v16 = "stablehlo.rsqrt"(%v15) : (tensor<8xf32>) -> tensor<8xf32>
    %v17 = "stablehlo.broadcast_in_dim"(%v16) <{broadcast_dimensions = array<i64: 0>}> : (tensor<8xf32>) -> tensor<8x128xf32>
    %v18 = "stablehlo.multiply"(%v17, %v4) : (tensor<8x128xf32>, tensor<8x128xf32>) -> tensor<8x128xf32>
    %v19 = "stablehlo.constant"() <{value = dense<1.000000000e+00> : tensor<f64>}> : () -> tensor<f64>
    %v20 = "stablehlo.convert"(%v19) : (tensor<f64>) -> tensor<f32>
    %v21 = "stablehlo.broadcast_in_dim"(%v20) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<128xf32>
    %v22 = "stablehlo.add"(%a2, %v21) : (tensor<128xf32>, tensor<128xf32>) -> tensor<128xf32>
    %v23 = "stablehlo.broadcast_in_dim"(%v22) <{broadcast_dimensions = array<i64: 1>}> : (tensor<128xf32>) -> tensor<1x128xf32>
    %v24 = "stablehlo.broadcast_in_dim"(%v23) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x128xf32>) -> tensor<8x128xf32>
    %v25 = "stablehlo.multiply"(%v24, %v18) : (tensor<8x128xf32>, tensor<8x128xf32>) -> tensor<8x128xf32>
    %v26 = "stablehlo.convert"(%v25) : (tensor<8x128xf32>) -> tensor<8x128xbf16>
    %v27 = "stablehlo.convert"(%v26) : (tensor<8x128xbf16>) -> tensor<8x128xf32>
    %v28 = "stablehlo.reshape"(%v27) : (tensor<8x128xf32>) -> tensor<8x8x16xf32>
    %v29 = "stablehlo.abs"(%v28) : (tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
    %v30 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
    %v31 = "stablehlo.reduce"(%v29, %v30) <{dimensions = array<i64: 2>}> ({
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      %r = "stablehlo.maximum"(%y, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%r) : (tensor<f32>) -> ()
    }) : (tensor<8x8x16xf32>, tensor<f32>) -> tensor<8x8xf32>
    %v32 = "stablehlo.broadcast_in_dim"(%v31) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<8x8xf32>) -> tensor<8x8x1xf32>
    %v33 = "stablehlo.constant"() <{value = dense<6.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %v34 = "stablehlo.broadcast_in_dim"(%v33) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8x1xf32>
    %v35 = "stablehlo.divide"(%v32, %v34) : (tensor<8x8x1xf32>, tensor<8x8x1xf32>) -> tensor<8x8x1xf32>
    %v36 = "stablehlo.broadcast_in_dim"(%a3) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8x1xf32>
    %v37 = "stablehlo.multiply"(%v35, %v36) : (tensor<8x8x1xf32>, tensor<8x8x1xf32>) -> tensor<8x8x1xf32>
    %v38 = "stablehlo.convert"(%v37) : (tensor<8x8x1xf32>) -> tensor<8x8x1xf8E4M3FN>
    %v39 = "stablehlo.optimization_barrier"(%v38) : (tensor<8x8x1xf8E4M3FN>) -> tensor<8x8x1xf8E4M3FN>
    %v40 = "stablehlo.convert"(%v39) : (tensor<8x8x1xf8E4M3FN>) -> tensor<8x8x1xf32>
    %v41 = "stablehlo.broadcast_in_dim"(%a3) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8x1xf32>
    %v42 = "stablehlo.divide"(%v41, %v40) : (tensor<8x8x1xf32>, tensor<8x8x1xf32>) -> tensor<8x8x1xf32>
    %v43 = "stablehlo.broadcast_in_dim"(%v42) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<8x8x1xf32>) -> tensor<8x8x16xf32>
    %v44 = "stablehlo.multiply"(%v43, %v28) : (tensor<8x8x16xf32>, tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
    %v45 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<8x8x1xf32>}> : () -> tensor<8x8x1xf32>
    %v46 = "stablehlo.compare"(%v40, %v45) <{comparison_direction = #stablehlo<comparison_direction EQ>}> : (tensor<8x8x1xf32>, tensor<8x8x1xf32>) -> tensor<8x8x1xi1>
    %v47 = "stablehlo.broadcast_in_dim"(%v46) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<8x8x1xi1>) -> tensor<8x8x16xi1>
    %v48 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<f64>}> : () -> tensor<f64>
    %v49 = "stablehlo.convert"(%v48) : (tensor<f64>) -> tensor<f32>
    %v50 = "stablehlo.broadcast_in_dim"(%v49) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8x16xf32>
    %v51 = "stablehlo.select"(%v47, %v50, %v44) : (tensor<8x8x16xi1>, tensor<8x8x16xf32>, tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
    %v52 = "stablehlo.optimization_barrier"() <{value = dense<-6.000000000e+00> : tensor<8x8x16xf32>}> : () -> tensor<8x8x16xf32>
    %v53 = "stablehlo.maximum"(%v51, %v52) : (tensor<8x8x16xf32>, tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
    %v54 = "stablehlo.constant"() <{value = dense<6.000000000e+00> : tensor<f64>}> : () -> tensor<f64>
    %v55 = "stablehlo.convert"(%v54) : (tensor<f64>) -> tensor<f32>
    %v56 = "stablehlo.broadcast_in_dim"(%v55) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<8x8x16xf32>
    %v57 = "stablehlo.minimum"(%v53, %v56) : (tensor<8x8x16xf32>, tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
    %v58 = "stablehlo.convert"(%v57) : (tensor<8x8x16xf32>) -> tensor<8x8x16xf4E2M1FN>
    %v59 = "stablehlo.reshape"(%v58) : (tensor<8x8x16xf4E2M1FN>) -> tensor<8x128xf4E2M1FN>
    %v60 = "stablehlo.reshape"(%v39) : (tensor<8x8x1xf8E4M3FN>) -> tensor<8x8xf8E4M3FN>
    %v61 = "stablehlo.reshape"(%v60) : (tensor<8x8xf8E4M3FN>) -> tensor<1x8x2x4xf8E4M3FN>
    %v62 = "stablehlo.transpose"(%v61) <{permutation = array<i64: 0, 2, 1, 3>}> : (tensor<1x8x2x4xf8E4M3FN>) -> tensor<1x2x8x4xf8E4M3FN>
    %v63 = "stablehlo.reshape"(%v62) : (tensor<1x2x8x4xf8E4M3FN>) -> tensor<8x8xf8E4M3FN>
    return %v2, %v59, %v63 : tensor<8x128xbf16>, tensor<8x128xf4E2M1FN>, tensor<8x8xf8E4M3FN>
  }
  
}
