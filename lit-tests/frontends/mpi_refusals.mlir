// RUN: fiar-opt %s --fiar-check --fiar-fuse --verify-diagnostics | FileCheck %s
// Without the grid nobody knows the ranks.
// RUN: sed '/^shard.grid/d' %S/mpi.mlir | not fiar-opt --fiar-fuse --verify-diagnostics -o /dev/null 2>&1 | FileCheck %s --check-prefix=GRID
// The module's attribute says it, too.
// RUN: sed 's/^shard.grid.*/module attributes {fiar.groups = {MPI_COMM_WORLD = 8 : i64}} {/' %S/mpi.mlir > %t.mlir
// RUN: echo '}' >> %t.mlir
// RUN: fiar-opt %t.mlir --fiar-fuse 2>&1 | FileCheck %S/mpi.mlir

// Buffers that are no tensors', or not only theirs; and communicators whose ranks cannot be known.
// CHECK-NOT: fiar.all_reduce_norm

// GRID: how many ranks MPI_COMM_WORLD has is not known: the module has no one shard.grid

shard.grid @plane(shape = 2x4)

// Something is stored between the copy and the sum.
func.func @stored_before(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  memref.store %z, %m[%at, %at] : memref<16x64xf32>
  // expected-remark@+1 {{its buffer is used by other ops than a copy of a tensor into it, this all-reduce and one bufferization.to_tensor}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Something is stored between the sum and its reading.
func.func @stored_after(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its buffer is used by other ops than a copy of a tensor into it, this all-reduce and one bufferization.to_tensor}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  memref.store %z, %m[%at, %at] : memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The sum is read before it is made.
func.func @read_before(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  // expected-remark@+1 {{its buffer is filled, reduced and read in another order or in several blocks}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The copy comes behind the sum.
func.func @copied_after(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  // expected-remark@+1 {{its buffer is filled, reduced and read in another order or in several blocks}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Nothing fills the buffer.
func.func @unfilled(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %m = memref.alloc() : memref<16x64xf32>
  // expected-remark@+1 {{it works on buffers that are no tensors': run fiar-fuse before bufferization}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Reduced twice.
func.func @reduced_twice(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its buffer is used by other ops than a copy of a tensor into it, this all-reduce and one bufferization.to_tensor}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  // expected-remark@+1 {{its buffer is used by other ops than a copy of a tensor into it, this all-reduce and one bufferization.to_tensor}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The tensor's own buffer is written after it was copied: what the tensor then is, is open.
func.func @source_written(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  memref.store %z, %b[%at, %at] : memref<16x64xf32>
  // expected-remark@+1 {{the buffer that it reads is no tensor's, or may be written}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Another buffer of the tensor is written.
func.func @other_buffer_written(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %o = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  memref.store %z, %o[%at, %at] : memref<16x64xf32>
  // expected-remark@+1 {{the buffer that it reads is no tensor's, or may be written}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The tensor is a buffer of the caller's, which others may name.
func.func @unrestricted(%in: memref<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %x = bufferization.to_tensor %in : memref<16x64xf32> to tensor<16x64xf32>
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  memref.store %z, %in[%at, %at] : memref<16x64xf32>
  // expected-remark@+1 {{the buffer that it reads is no tensor's, or may be written}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The buffer is the caller's.
func.func @no_alloc(%in: memref<16x64xf32>, %m: memref<16x64xf32>) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  memref.copy %in, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{it works on buffers that are no tensors': run fiar-fuse before bufferization}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// The copy is one of a buffer that is no tensor's.
func.func @copied_buffer(%in: memref<16x64xf32>) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %in, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{the buffer that it reads is no tensor's, or may be written}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Both a copy into the sum's buffer and another that is sent.
func.func @copied_and_sent(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{it works on buffers that are no tensors': run fiar-fuse before bufferization}}
  mpi.allreduce(%b, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Its status is used.
func.func @status(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its status is used}}
  %st = mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32> -> !mpi.retval
  %code = mpi.error_class %st : !mpi.retval
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// A column's view: other elements than the buffer's.
func.func @part(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  %part = memref.subview %m[0, 0] [16, 32] [1, 1] : memref<16x64xf32> to memref<16x32xf32, strided<[64, 1]>>
  // expected-remark@+1 {{it works on buffers that are no tensors': run fiar-fuse before bufferization}}
  mpi.allreduce(%part, %part, MPI_SUM, %comm) : memref<16x32xf32, strided<[64, 1]>>, memref<16x32xf32, strided<[64, 1]>>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// A maximum.
func.func @maximum(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its reducer is no sum but MPI_MAX}}
  mpi.allreduce(%m, %m, MPI_MAX, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// A communicator from elsewhere.
func.func @foreign_comm(%x: tensor<16x64xf32>, %comm: !mpi.comm) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its communicator is neither MPI_COMM_WORLD nor a split of it}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// A colour from elsewhere.
func.func @foreign_color(%x: tensor<16x64xf32>, %in: i32) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.addi %in, %rank : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its communicator's colour or key is no function of the rank that can be followed}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// A colour below zero: MPI_UNDEFINED for some ranks.
func.func @no_color(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.subi %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its communicator's colour or key is no function of the rank that can be followed}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// Groups of one and of seven.
func.func @unequal(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %seven = arith.constant 7 : i32
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.divui %rank, %seven : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{its communicators are of unequal size}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}

// As MLIR folds the rank where dlti names it: the colour is one rank's alone.
func.func @folded(%x: tensor<16x64xf32>, %z: f32, %at: index) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %world = mpi.comm_world : !mpi.comm
  %comm = mpi.comm_split(%world, %four, %four) : !mpi.comm
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{neither colour nor key of its communicator comes from mpi.comm_rank: the module may be one rank's alone}}
  mpi.allreduce(%m, %m, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %sum = bufferization.to_tensor %m restrict : memref<16x64xf32> to tensor<16x64xf32>
  %sq = arith.mulf %sum, %sum : tensor<16x64xf32>
  %t = linalg.reduce ins(%sq : tensor<16x64xf32>) outs(%zeros : tensor<16xf32>) dimensions = [1]
    (%a: f32, %c: f32) { %d = arith.addf %a, %c : f32  linalg.yield %d : f32 }
  %mean = arith.mulf %t, %hidden : tensor<16xf32>
  %me = arith.addf %mean, %eps : tensor<16xf32>
  %i = math.rsqrt %me : tensor<16xf32>
  %is = linalg.broadcast ins(%i : tensor<16xf32>) outs(%e2 : tensor<16x64xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<16x64xf32>
  return %norm : tensor<16x64xf32>
}
