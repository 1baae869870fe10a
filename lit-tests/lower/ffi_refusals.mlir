// RUN: fiar-opt %s --fiar-lower-to-ffi --split-input-file --verify-diagnostics

// Groups that cannot be written out as ids are errors: a handler could not form the communicator.
func.func @unknown_mesh(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{nowhere}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @nowhere, axes = [#stablehlo.axis_ref<name = "tp">]>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @world(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{world is 4, but each of the groups has 2 ranks}}
  %0 = "fiar.all_reduce"(%x) {world = 4 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @mode(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{group_mode is none of}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>, group_mode = "some"} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}
