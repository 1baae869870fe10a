// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s

// Types that are spelled differently and are one: a value may have either where it is made and used.

// CHECK-LABEL: func.func @blanks(
// CHECK-SAME:    !torch.vtensor<[2,?],f32>, {{.*}}: !torch.list<vtensor<[4],si64>>) -> !torch.tensor<[2,?],f32>
func.func @blanks(%x: !torch.vtensor<[2, ?], f32>, %l: !torch.list<vtensor<[ 4 ], si64>>) -> !torch.tensor<[2,?],f32> {
  %0 = torch.aten.relu %x : !torch.vtensor<[2,?],f32> -> !torch.vtensor<[2,?], f32>
  %1 = torch.aten.foo %0, %l : !torch.vtensor<[2, ?],f32>, !torch.list<vtensor<[4],si64>> -> !torch.tensor<[2, ?], f32>
  return %1 : !torch.tensor<[2,?],f32>
}

// CHECK-LABEL: func.func @bounds(
// CHECK-SAME:    tensor<?x?xf32, #stablehlo.bounds<3, ?>>
// CHECK-NEXT:    "stablehlo.abs"({{.*}}) : (tensor<?x?xf32, #stablehlo.bounds<3, ?>>) -> tensor<?x?xf32, #stablehlo.bounds<3, ?>>
func.func @bounds(%x: tensor<?x?xf32, #stablehlo.bounds<3, ?>>) -> tensor<?x?xf32, #stablehlo.bounds<3, ?>> {
  %0 = stablehlo.abs %x : tensor<?x?xf32, #stablehlo.type_extensions<bounds = [3, ?]>>
  return %0 : tensor<?x?xf32, #stablehlo.bounds<3, ?>>
}
