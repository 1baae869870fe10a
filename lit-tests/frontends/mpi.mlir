// RUN: fiar-opt %s --fiar-check --fiar-fuse --verify-diagnostics | FileCheck %s
// What convert-shard-to-mpi makes of a sum fuses as the sum itself, over the same ranks, and leaves nothing behind.
// RUN: sed 's/shape = 2x3/shape = 2x2/' %S/upstream.mlir > %t.mlir
// RUN: fiar-opt %t.mlir --fiar-fuse -o %t.shard
// RUN: FileCheck %s --check-prefix=SHARD --implicit-check-not=mpi. --implicit-check-not=memref < %t.shard
// RUN: fiar-opt %t.mlir --convert-shard-to-mpi --fiar-check --fiar-fuse -o %t.mpi
// RUN: diff %t.shard %t.mpi
// RUN: fiar-opt %t.mlir --convert-shard-to-mpi --canonicalize --cse --fiar-check --fiar-fuse -o %t.cse
// RUN: FileCheck %s --check-prefix=SHARD --implicit-check-not=mpi. --implicit-check-not=memref < %t.cse
// A module in which nothing fuses stays as it is.
// RUN: sed 's/MPI_SUM/MPI_PROD/' %s > %t.left.mlir
// RUN: fiar-opt %t.left.mlir -o %t.left
// RUN: fiar-opt %t.left.mlir --fiar-fuse -o %t.same 2> %t.remarks
// RUN: diff %t.left %t.same
// RUN: FileCheck %s --check-prefix=LEFT < %t.remarks

// SHARD-COUNT-2: fiar.all_reduce_norm
// LEFT-COUNT-4: remark: all-reduce left: its reducer is no sum but MPI_PROD

shard.grid @plane(shape = 2x4)

// Ranks that share rank % 4 reduce together.
// CHECK-LABEL: func.func @in_place
// CHECK-NEXT:    %[[F:.*]] = "fiar.all_reduce_norm"(%arg0)
// CHECK-SAME{LITERAL}: groups = dense<[[0, 4], [1, 5], [2, 6], [3, 7]]> : tensor<4x2xi64>
// CHECK-NEXT:    return %[[F]]
func.func @in_place(%x: tensor<16x64xf32>) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  memref.copy %b, %m : memref<16x64xf32> to memref<16x64xf32>
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.remui %rank, %four : i32
  %key = arith.divui %rank, %four : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
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

// A buffer of its own for the sum, a status that nobody reads, and all ranks: the module's grid says how many.
// CHECK-LABEL: func.func @two_buffers
// CHECK-NEXT:    %[[F:.*]] = "fiar.all_reduce_norm"(%arg0)
// CHECK-SAME:      group_mode = "process_group"
// CHECK-SAME:      groups = "MPI_COMM_WORLD"
// CHECK-SAME:      world = 8 : i64
// CHECK-NEXT:    return %[[F]]
func.func @two_buffers(%x: tensor<16x64xf32>) -> tensor<16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %bv = memref.collapse_shape %b [[0, 1]] : memref<16x64xf32> into memref<1024xf32>
  %m = memref.alloc() : memref<16x64xf32>
  %mv = memref.collapse_shape %m [[0, 1]] : memref<16x64xf32> into memref<1024xf32>
  %world = mpi.comm_world : !mpi.comm
  %status = mpi.allreduce(%bv, %mv, MPI_SUM, %world) : memref<1024xf32>, memref<1024xf32> -> !mpi.retval
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

// Two sums of one tensor; the ranks of a group in falling order, as the key has them.
// CHECK-LABEL: func.func @twice
// CHECK:         %[[SUM:.*]] = bufferization.to_tensor
// CHECK:         %[[F:.*]] = "fiar.all_reduce_norm"(%arg0)
// CHECK-SAME{LITERAL}: groups = dense<[[3, 2, 1, 0], [7, 6, 5, 4]]> : tensor<2x4xi64>
// CHECK-NEXT:    return %[[F]], %[[SUM]]
func.func @twice(%x: tensor<16x64xf32>) -> (tensor<16x64xf32>, tensor<16x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : i32
  %hidden = arith.constant dense<0.015625> : tensor<16xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<16xf32>
  %e1 = tensor.empty() : tensor<16xf32>
  %e2 = tensor.empty() : tensor<16x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<16xf32>) -> tensor<16xf32>
  %seven = arith.constant 7 : i32
  %world = mpi.comm_world : !mpi.comm
  %rank = mpi.comm_rank(%world) : i32
  %color = arith.divsi %rank, %four : i32
  %key = arith.subi %seven, %rank : i32
  %comm = mpi.comm_split(%world, %color, %key) : !mpi.comm
  %b1 = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m1 = memref.alloc() : memref<16x64xf32>
  memref.copy %b1, %m1 : memref<16x64xf32> to memref<16x64xf32>
  // expected-remark@+1 {{no RMSNorm follows: the all-reduced sum goes into func.return}}
  mpi.allreduce(%m1, %m1, MPI_SUM, %comm) : memref<16x64xf32>, memref<16x64xf32>
  %other = bufferization.to_tensor %m1 restrict : memref<16x64xf32> to tensor<16x64xf32>
  %b = bufferization.to_buffer %x : tensor<16x64xf32> to memref<16x64xf32>
  %m = memref.alloc() : memref<16x64xf32>
  linalg.copy ins(%b : memref<16x64xf32>) outs(%m : memref<16x64xf32>)
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
  return %norm, %other : tensor<16x64xf32>, tensor<16x64xf32>
}
