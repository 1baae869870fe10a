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

// -----

sdy.mesh @wide = <["dp"=2, "tp"=2147483648]>

func.func @mesh_too_large(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{axis "tp" of the replica groups' mesh has size 2147483648}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @wide, axes = [#stablehlo.axis_ref<name = "dp">]>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

sdy.mesh @few = <["tp"=2], device_ids=[0, 1, 2]>

func.func @mesh_of_other_ids(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{the mesh of the replica groups has 2 devices, but 3 ids}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @few, axes = [#stablehlo.axis_ref<name = "tp">]>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

sdy.mesh @below = <["tp"=2], device_ids=[-1, 0]>

func.func @mesh_of_negative_ids(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{the replica groups name rank -1}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @below, axes = [#stablehlo.axis_ref<name = "tp">]>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

sdy.mesh @mesh = <["tp"=2]>

func.func @axis_twice(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{the replica groups name axis "tp" twice}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "tp">, #stablehlo.axis_ref<name = "tp">]>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @matrix_too_large(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{the replica groups are 4294967296 times 4294967296 ids}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = dense<0> : tensor<4294967296x4294967296xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @rank_twice(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{the replica groups name rank 0 twice}}
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = dense<0> : tensor<1x2xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @world_too_large(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{world is 2147483647, too many ranks to write out}}
  %0 = "fiar.all_reduce"(%x) {world = 2147483647 : i64, groups = dense<> : tensor<0x0xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}
