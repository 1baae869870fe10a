// Two layers of a tensor-parallel block in upstream MLIR, as one rank of four runs it. Each layer has two projections;
// each projection's partial sums are all-reduced over the ranks, added to the residual stream, RMS-normalised and
// quantised to fp8 (static scale) for the next one. Parameters are this rank's shards.
//
// Results, one slice a projection: the all-reduced sums, the residual stream, the norms and the fp8 codes.
shard.grid @tp(shape = 4)

func.func @tp_block(%x: tensor<16x256xf8E4M3FN>, %stream: tensor<16x256xbf16>, %projections: tensor<4x256x256xbf16>,
                    %norm_weights: tensor<4x256xbf16>, %scale: tensor<f32>)
    -> (tensor<4x16x256xbf16>, tensor<4x16x256xbf16>, tensor<4x16x256xbf16>, tensor<4x16x256xf8E4M3FN>) {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<256.0> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-6> : tensor<16xf32>
  %lowest = arith.constant dense<-448.0> : tensor<16x256xf32>
  %highest = arith.constant dense<448.0> : tensor<16x256xf32>
  %rows_f32 = tensor.empty() : tensor<16xf32>
  %empty_f32 = tensor.empty() : tensor<16x256xf32>
  %empty_bf16 = tensor.empty() : tensor<16x256xbf16>
  %row_zeros = linalg.fill ins(%zero : f32) outs(%rows_f32 : tensor<16xf32>) -> tensor<16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty_f32 : tensor<16x256xf32>) -> tensor<16x256xf32>
  %scales = linalg.broadcast ins(%scale : tensor<f32>) outs(%empty_f32 : tensor<16x256xf32>) dimensions = [0, 1]
  %all_bf16 = tensor.empty() : tensor<4x16x256xbf16>
  %all_f8 = tensor.empty() : tensor<4x16x256xf8E4M3FN>

  // Layer 0, first projection.
  %x0 = arith.extf %x : tensor<16x256xf8E4M3FN> to tensor<16x256xf32>
  %dequant0 = arith.mulf %x0, %scales : tensor<16x256xf32>
  %w0 = tensor.extract_slice %projections[0, 0, 0] [1, 256, 256] [1, 1, 1] : tensor<4x256x256xbf16> to tensor<256x256xbf16>
  %w0_f32 = arith.extf %w0 : tensor<256x256xbf16> to tensor<256x256xf32>
  %product0 = linalg.matmul ins(%dequant0, %w0_f32 : tensor<16x256xf32>, tensor<256x256xf32>)
      outs(%zeros : tensor<16x256xf32>) -> tensor<16x256xf32>
  %partial0 = arith.truncf %product0 : tensor<16x256xf32> to tensor<16x256xbf16>
  %sum0 = shard.all_reduce %partial0 on @tp grid_axes = [0] : tensor<16x256xbf16> -> tensor<16x256xbf16>
  %residual0 = arith.addf %stream, %sum0 : tensor<16x256xbf16>
  %h0 = arith.extf %residual0 : tensor<16x256xbf16> to tensor<16x256xf32>
  %square0 = arith.mulf %h0, %h0 : tensor<16x256xf32>
  %total0 = linalg.reduce ins(%square0 : tensor<16x256xf32>) outs(%row_zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }
  %mean0 = arith.divf %total0, %hidden : tensor<16xf32>
  %shifted0 = arith.addf %mean0, %eps : tensor<16xf32>
  %root0 = math.rsqrt %shifted0 : tensor<16xf32>
  %roots0 = linalg.broadcast ins(%root0 : tensor<16xf32>) outs(%empty_f32 : tensor<16x256xf32>) dimensions = [1]
  %unit0 = arith.mulf %h0, %roots0 : tensor<16x256xf32>
  %unit0_bf16 = arith.truncf %unit0 : tensor<16x256xf32> to tensor<16x256xbf16>
  %gamma0 = tensor.extract_slice %norm_weights[0, 0] [1, 256] [1, 1] : tensor<4x256xbf16> to tensor<256xbf16>
  %gammas0 = linalg.broadcast ins(%gamma0 : tensor<256xbf16>) outs(%empty_bf16 : tensor<16x256xbf16>) dimensions = [0]
  %norm0 = arith.mulf %unit0_bf16, %gammas0 : tensor<16x256xbf16>
  %norm0_f32 = arith.extf %norm0 : tensor<16x256xbf16> to tensor<16x256xf32>
  %scaled0 = arith.divf %norm0_f32, %scales : tensor<16x256xf32>
  %above0 = arith.maximumf %scaled0, %lowest : tensor<16x256xf32>
  %clamped0 = arith.minimumf %above0, %highest : tensor<16x256xf32>
  %codes0 = arith.truncf %clamped0 : tensor<16x256xf32> to tensor<16x256xf8E4M3FN>

  %sums0 = tensor.insert_slice %sum0 into %all_bf16[0, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %residuals0 = tensor.insert_slice %residual0 into %all_bf16[0, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %norms0 = tensor.insert_slice %norm0 into %all_bf16[0, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %all_codes0 = tensor.insert_slice %codes0 into %all_f8[0, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xf8E4M3FN> into tensor<4x16x256xf8E4M3FN>

  // Layer 0, second projection.
  %x1 = arith.extf %codes0 : tensor<16x256xf8E4M3FN> to tensor<16x256xf32>
  %dequant1 = arith.mulf %x1, %scales : tensor<16x256xf32>
  %w1 = tensor.extract_slice %projections[1, 0, 0] [1, 256, 256] [1, 1, 1] : tensor<4x256x256xbf16> to tensor<256x256xbf16>
  %w1_f32 = arith.extf %w1 : tensor<256x256xbf16> to tensor<256x256xf32>
  %product1 = linalg.matmul ins(%dequant1, %w1_f32 : tensor<16x256xf32>, tensor<256x256xf32>)
      outs(%zeros : tensor<16x256xf32>) -> tensor<16x256xf32>
  %partial1 = arith.truncf %product1 : tensor<16x256xf32> to tensor<16x256xbf16>
  %sum1 = shard.all_reduce %partial1 on @tp grid_axes = [0] : tensor<16x256xbf16> -> tensor<16x256xbf16>
  %residual1 = arith.addf %residual0, %sum1 : tensor<16x256xbf16>
  %h1 = arith.extf %residual1 : tensor<16x256xbf16> to tensor<16x256xf32>
  %square1 = arith.mulf %h1, %h1 : tensor<16x256xf32>
  %total1 = linalg.reduce ins(%square1 : tensor<16x256xf32>) outs(%row_zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }
  %mean1 = arith.divf %total1, %hidden : tensor<16xf32>
  %shifted1 = arith.addf %mean1, %eps : tensor<16xf32>
  %root1 = math.rsqrt %shifted1 : tensor<16xf32>
  %roots1 = linalg.broadcast ins(%root1 : tensor<16xf32>) outs(%empty_f32 : tensor<16x256xf32>) dimensions = [1]
  %unit1 = arith.mulf %h1, %roots1 : tensor<16x256xf32>
  %unit1_bf16 = arith.truncf %unit1 : tensor<16x256xf32> to tensor<16x256xbf16>
  %gamma1 = tensor.extract_slice %norm_weights[1, 0] [1, 256] [1, 1] : tensor<4x256xbf16> to tensor<256xbf16>
  %gammas1 = linalg.broadcast ins(%gamma1 : tensor<256xbf16>) outs(%empty_bf16 : tensor<16x256xbf16>) dimensions = [0]
  %norm1 = arith.mulf %unit1_bf16, %gammas1 : tensor<16x256xbf16>
  %norm1_f32 = arith.extf %norm1 : tensor<16x256xbf16> to tensor<16x256xf32>
  %scaled1 = arith.divf %norm1_f32, %scales : tensor<16x256xf32>
  %above1 = arith.maximumf %scaled1, %lowest : tensor<16x256xf32>
  %clamped1 = arith.minimumf %above1, %highest : tensor<16x256xf32>
  %codes1 = arith.truncf %clamped1 : tensor<16x256xf32> to tensor<16x256xf8E4M3FN>

  %sums1 = tensor.insert_slice %sum1 into %sums0[1, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %residuals1 = tensor.insert_slice %residual1 into %residuals0[1, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %norms1 = tensor.insert_slice %norm1 into %norms0[1, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %all_codes1 = tensor.insert_slice %codes1 into %all_codes0[1, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xf8E4M3FN> into tensor<4x16x256xf8E4M3FN>

  // Layer 1, first projection.
  %x2 = arith.extf %codes1 : tensor<16x256xf8E4M3FN> to tensor<16x256xf32>
  %dequant2 = arith.mulf %x2, %scales : tensor<16x256xf32>
  %w2 = tensor.extract_slice %projections[2, 0, 0] [1, 256, 256] [1, 1, 1] : tensor<4x256x256xbf16> to tensor<256x256xbf16>
  %w2_f32 = arith.extf %w2 : tensor<256x256xbf16> to tensor<256x256xf32>
  %product2 = linalg.matmul ins(%dequant2, %w2_f32 : tensor<16x256xf32>, tensor<256x256xf32>)
      outs(%zeros : tensor<16x256xf32>) -> tensor<16x256xf32>
  %partial2 = arith.truncf %product2 : tensor<16x256xf32> to tensor<16x256xbf16>
  %sum2 = shard.all_reduce %partial2 on @tp grid_axes = [0] : tensor<16x256xbf16> -> tensor<16x256xbf16>
  %residual2 = arith.addf %residual1, %sum2 : tensor<16x256xbf16>
  %h2 = arith.extf %residual2 : tensor<16x256xbf16> to tensor<16x256xf32>
  %square2 = arith.mulf %h2, %h2 : tensor<16x256xf32>
  %total2 = linalg.reduce ins(%square2 : tensor<16x256xf32>) outs(%row_zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }
  %mean2 = arith.divf %total2, %hidden : tensor<16xf32>
  %shifted2 = arith.addf %mean2, %eps : tensor<16xf32>
  %root2 = math.rsqrt %shifted2 : tensor<16xf32>
  %roots2 = linalg.broadcast ins(%root2 : tensor<16xf32>) outs(%empty_f32 : tensor<16x256xf32>) dimensions = [1]
  %unit2 = arith.mulf %h2, %roots2 : tensor<16x256xf32>
  %unit2_bf16 = arith.truncf %unit2 : tensor<16x256xf32> to tensor<16x256xbf16>
  %gamma2 = tensor.extract_slice %norm_weights[2, 0] [1, 256] [1, 1] : tensor<4x256xbf16> to tensor<256xbf16>
  %gammas2 = linalg.broadcast ins(%gamma2 : tensor<256xbf16>) outs(%empty_bf16 : tensor<16x256xbf16>) dimensions = [0]
  %norm2 = arith.mulf %unit2_bf16, %gammas2 : tensor<16x256xbf16>
  %norm2_f32 = arith.extf %norm2 : tensor<16x256xbf16> to tensor<16x256xf32>
  %scaled2 = arith.divf %norm2_f32, %scales : tensor<16x256xf32>
  %above2 = arith.maximumf %scaled2, %lowest : tensor<16x256xf32>
  %clamped2 = arith.minimumf %above2, %highest : tensor<16x256xf32>
  %codes2 = arith.truncf %clamped2 : tensor<16x256xf32> to tensor<16x256xf8E4M3FN>

  %sums2 = tensor.insert_slice %sum2 into %sums1[2, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %residuals2 = tensor.insert_slice %residual2 into %residuals1[2, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %norms2 = tensor.insert_slice %norm2 into %norms1[2, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %all_codes2 = tensor.insert_slice %codes2 into %all_codes1[2, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xf8E4M3FN> into tensor<4x16x256xf8E4M3FN>

  // Layer 1, second projection.
  %x3 = arith.extf %codes2 : tensor<16x256xf8E4M3FN> to tensor<16x256xf32>
  %dequant3 = arith.mulf %x3, %scales : tensor<16x256xf32>
  %w3 = tensor.extract_slice %projections[3, 0, 0] [1, 256, 256] [1, 1, 1] : tensor<4x256x256xbf16> to tensor<256x256xbf16>
  %w3_f32 = arith.extf %w3 : tensor<256x256xbf16> to tensor<256x256xf32>
  %product3 = linalg.matmul ins(%dequant3, %w3_f32 : tensor<16x256xf32>, tensor<256x256xf32>)
      outs(%zeros : tensor<16x256xf32>) -> tensor<16x256xf32>
  %partial3 = arith.truncf %product3 : tensor<16x256xf32> to tensor<16x256xbf16>
  %sum3 = shard.all_reduce %partial3 on @tp grid_axes = [0] : tensor<16x256xbf16> -> tensor<16x256xbf16>
  %residual3 = arith.addf %residual2, %sum3 : tensor<16x256xbf16>
  %h3 = arith.extf %residual3 : tensor<16x256xbf16> to tensor<16x256xf32>
  %square3 = arith.mulf %h3, %h3 : tensor<16x256xf32>
  %total3 = linalg.reduce ins(%square3 : tensor<16x256xf32>) outs(%row_zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }
  %mean3 = arith.divf %total3, %hidden : tensor<16xf32>
  %shifted3 = arith.addf %mean3, %eps : tensor<16xf32>
  %root3 = math.rsqrt %shifted3 : tensor<16xf32>
  %roots3 = linalg.broadcast ins(%root3 : tensor<16xf32>) outs(%empty_f32 : tensor<16x256xf32>) dimensions = [1]
  %unit3 = arith.mulf %h3, %roots3 : tensor<16x256xf32>
  %unit3_bf16 = arith.truncf %unit3 : tensor<16x256xf32> to tensor<16x256xbf16>
  %gamma3 = tensor.extract_slice %norm_weights[3, 0] [1, 256] [1, 1] : tensor<4x256xbf16> to tensor<256xbf16>
  %gammas3 = linalg.broadcast ins(%gamma3 : tensor<256xbf16>) outs(%empty_bf16 : tensor<16x256xbf16>) dimensions = [0]
  %norm3 = arith.mulf %unit3_bf16, %gammas3 : tensor<16x256xbf16>
  %norm3_f32 = arith.extf %norm3 : tensor<16x256xbf16> to tensor<16x256xf32>
  %scaled3 = arith.divf %norm3_f32, %scales : tensor<16x256xf32>
  %above3 = arith.maximumf %scaled3, %lowest : tensor<16x256xf32>
  %clamped3 = arith.minimumf %above3, %highest : tensor<16x256xf32>
  %codes3 = arith.truncf %clamped3 : tensor<16x256xf32> to tensor<16x256xf8E4M3FN>

  %sums3 = tensor.insert_slice %sum3 into %sums2[3, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %residuals3 = tensor.insert_slice %residual3 into %residuals2[3, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %norms3 = tensor.insert_slice %norm3 into %norms2[3, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xbf16> into tensor<4x16x256xbf16>
  %all_codes3 = tensor.insert_slice %codes3 into %all_codes2[3, 0, 0] [1, 16, 256] [1, 1, 1] : tensor<16x256xf8E4M3FN> into tensor<4x16x256xf8E4M3FN>

  return %sums3, %residuals3, %norms3, %all_codes3
      : tensor<4x16x256xbf16>, tensor<4x16x256xbf16>, tensor<4x16x256xbf16>, tensor<4x16x256xf8E4M3FN>
}
