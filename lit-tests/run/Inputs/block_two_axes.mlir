// Data parallel over dp: which part of x a rank of a tp group has is its host's to know.
module @jit_two_axes attributes {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["dp"=2, "tp"=2]>
  func.func public @main(%x: tensor<8x64xbf16>, %w: tensor<128x64xbf16>) -> tensor<8x64xbf16> {
    %0 = sdy.manual_computation(%x, %w) in_shardings=[<@mesh, [{"dp"}, {}]>, <@mesh, [{"tp"}, {}]>] out_shardings=[<@mesh, [{"dp"}, {}]>] manual_axes={"dp", "tp"} (%a: tensor<4x64xbf16>, %b: tensor<64x64xbf16>) {
      %1 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %2 = "stablehlo.all_reduce"(%1) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>, use_global_device_ids}> ({
      ^bb0(%c: tensor<bf16>, %d: tensor<bf16>):
        %3 = stablehlo.add %c, %d : tensor<bf16>
        stablehlo.return %3 : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      sdy.return %2 : tensor<4x64xbf16>
    } : (tensor<8x64xbf16>, tensor<128x64xbf16>) -> tensor<8x64xbf16>
    return %0 : tensor<8x64xbf16>
  }
}
