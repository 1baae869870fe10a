#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""make_layers.py FRONTEND LAYERS: prints a chain of tensor-parallel layers as one frontend's tools spell them: a matmul, an
all-reduce, a residual add, an RMSNorm, and static fp8 where the frontend has it. FRONTEND is torch (vLLM's ops with results),
torch_written (writing over their operands), torch_decomposed (aten), upstream (linalg, arith, math), ttir or tosa. For
make_model.py's benchmarks and for tests; StableHLO is make_model.py's own."""
import sys

T, H, W = 16, 1024, 4


def torch_head(args):
    return f"""!x = !torch.vtensor<[{T},{H}],bf16>
!f = !torch.vtensor<[{T},{H}],f32>
!c = !torch.vtensor<[{T},1],f32>
!m = !torch.vtensor<[{H},{H}],bf16>
!w = !torch.vtensor<[{H}],bf16>
!q = !torch.vtensor<[{T},{H}],f8E4M3FN>
!s = !torch.vtensor<[1],f32>
func.func @main({args}) -> (!x, !x) {{
  %group = torch.constant.str "tp:0"
  %sum = torch.constant.str "sum"
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %true = torch.constant.bool true
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int-1 = torch.constant.int -1
  %int6 = torch.constant.int 6
  %int15 = torch.constant.int 15
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %h0 = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  %n0 = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
"""


LAYERS = {
    "torch": '''  %y{i} = torch.aten.mm %n{p}, %m : !x, !m -> !x
  %a{i} = torch.operator "torch.vllm.all_reduce"(%y{i}, %group) : (!x, !torch.str) -> !x
  %k{i}:2 = torch.operator "torch._C.fused_add_rms_norm"(%a{i}, %h{p}, %w, %eps) : (!x, !x, !w, !torch.float) -> (!x, !x)
  %e{i} = torch.aten.empty_like %a{i}, %none, %none, %none, %none, %none : !x, !torch.none, !torch.none, !torch.none, !torch.none, !torch.none -> !q
  %q{i} = torch.operator "torch._C.static_scaled_fp8_quant"(%e{i}, %k{i}#0, %s) : (!q, !x, !s) -> !q
  %n{i} = torch.prims.convert_element_type %q{i}, %int15 : !q, !torch.int -> !x
  %h{i} = torch.aten.clamp_min %k{i}#1, %int-1 : !x, !torch.int -> !x
''',
    "torch_written": '''  %y{i} = torch.aten.mm %n{p}, %m : !x, !m -> !x
  %a{i} = torch.operator "torch.vllm.all_reduce"(%y{i}, %group) : (!x, !torch.str) -> !x
  %h{i} = torch.aten.clamp_min %h{p}, %int-1 : !x, !torch.int -> !x
  torch.operator "torch._C.fused_add_rms_norm"(%a{i}, %h{i}, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  %e{i} = torch.aten.empty_like %a{i}, %none, %none, %none, %none, %none : !x, !torch.none, !torch.none, !torch.none, !torch.none, !torch.none -> !q
  torch.operator "torch._C.static_scaled_fp8_quant"(%e{i}, %a{i}, %s) : (!q, !x, !s) -> ()
  %n{i} = torch.prims.convert_element_type %e{i}, %int15 : !q, !torch.int -> !x
''',
    "torch_decomposed": '''  %y{i} = torch.aten.mm %n{p}, %m : !x, !m -> !x
  %b{i} = torch.operator "torch._c10d_functional.all_reduce"(%y{i}, %sum, %group) : (!x, !torch.str, !torch.str) -> !x
  %a{i} = torch.operator "torch._c10d_functional.wait_tensor"(%b{i}) : (!x) -> !x
  %h{i} = torch.aten.add.Tensor %a{i}, %h{p}, %int1 : !x, !x, !torch.int -> !x
  %f{i} = torch.prims.convert_element_type %h{i}, %int6 : !x, !torch.int -> !f
  %q{i} = torch.aten.pow.Tensor_Scalar %f{i}, %int2 : !f, !torch.int -> !f
  %t{i} = torch.aten.mean.dim %q{i}, %dims, %true, %none : !f, !torch.list<int>, !torch.bool, !torch.none -> !c
  %e{i} = torch.aten.add.Scalar %t{i}, %eps, %int1 : !c, !torch.float, !torch.int -> !c
  %r{i} = torch.aten.rsqrt %e{i} : !c -> !c
  %u{i} = torch.aten.mul.Tensor %f{i}, %r{i} : !f, !c -> !f
  %v{i} = torch.prims.convert_element_type %u{i}, %int15 : !f, !torch.int -> !x
  %n{i} = torch.aten.mul.Tensor %w, %v{i} : !w, !x -> !x
''',
    "upstream": '''  %y{i} = linalg.matmul ins(%n{p}, %m : tensor<THxbf16>, tensor<HHxbf16>) outs(%zeros : tensor<THxbf16>) -> tensor<THxbf16>
  %a{i} = shard.all_reduce %y{i} on @line grid_axes = [0] : tensor<THxbf16> -> tensor<THxbf16>
  %h{i} = arith.addf %h{p}, %a{i} : tensor<THxbf16>
  %f{i} = arith.extf %h{i} : tensor<THxbf16> to tensor<THxf32>
  %q{i} = arith.mulf %f{i}, %f{i} : tensor<THxf32>
  %t{i} = linalg.reduce ins(%q{i} : tensor<THxf32>) outs(%zero : tensor<Txf32>) dimensions = [1]
    (%l: f32, %o: f32) {{ %c = arith.addf %l, %o : f32  linalg.yield %c : f32 }}
  %d{i} = arith.divf %t{i}, %hidden : tensor<Txf32>
  %e{i} = arith.addf %d{i}, %eps : tensor<Txf32>
  %r{i} = math.rsqrt %e{i} : tensor<Txf32>
  %b{i} = linalg.broadcast ins(%r{i} : tensor<Txf32>) outs(%wide : tensor<THxf32>) dimensions = [1]
  %u{i} = arith.mulf %f{i}, %b{i} : tensor<THxf32>
  %v{i} = arith.truncf %u{i} : tensor<THxf32> to tensor<THxbf16>
  %n{i} = arith.mulf %v{i}, %wb : tensor<THxbf16>
''',
    "ttir": '''  %y{i} = "ttir.matmul"(%n{p}, %m) : (tensor<THxbf16>, tensor<HHxbf16>) -> tensor<THxbf16>
  %a{i} = "ttir.all_reduce"(%y{i}) <{{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}}> : (tensor<THxbf16>) -> tensor<THxbf16>
  %h{i} = "ttir.add"(%a{i}, %h{p}) : (tensor<THxbf16>, tensor<THxbf16>) -> tensor<THxbf16>
  %n{i} = "ttir.rms_norm"(%h{i}, %w) <{{epsilon = 1.0e-5 : f32, normalized_shape = array<i64: H>, operandSegmentSizes = array<i32: 1, 1, 0>}}> : (tensor<THxbf16>, tensor<Hxbf16>) -> tensor<THxbf16>
''',
    "tosa": '''  %y{i} = tosa.mul %n{p}, %n{p}, %shift : (tensor<THxbf16>, tensor<THxbf16>, tensor<1xi8>) -> tensor<THxbf16>
  %a{i} = shard.all_reduce %y{i} on @line grid_axes = [0] : tensor<THxbf16> -> tensor<THxbf16>
  %h{i} = tosa.add %a{i}, %h{p} : (tensor<THxbf16>, tensor<THxbf16>) -> tensor<THxbf16>
  %f{i} = tosa.cast %h{i} : (tensor<THxbf16>) -> tensor<THxf32>
  %q{i} = tosa.mul %f{i}, %f{i}, %shift : (tensor<THxf32>, tensor<THxf32>, tensor<1xi8>) -> tensor<THxf32>
  %t{i} = tosa.reduce_sum %q{i} {{axis = 1 : i32}} : (tensor<THxf32>) -> tensor<Tx1xf32>
  %d{i} = tosa.mul %t{i}, %part, %shift : (tensor<Tx1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<Tx1xf32>
  %e{i} = tosa.add %d{i}, %eps : (tensor<Tx1xf32>, tensor<1x1xf32>) -> tensor<Tx1xf32>
  %r{i} = tosa.rsqrt %e{i} : (tensor<Tx1xf32>) -> tensor<Tx1xf32>
  %u{i} = tosa.mul %f{i}, %r{i}, %shift : (tensor<THxf32>, tensor<Tx1xf32>, tensor<1xi8>) -> tensor<THxf32>
  %v{i} = tosa.cast %u{i} : (tensor<THxf32>) -> tensor<THxbf16>
  %n{i} = tosa.mul %v{i}, %wb, %shift : (tensor<THxbf16>, tensor<1xHxbf16>, tensor<1xi8>) -> tensor<THxbf16>
''',
}

HEADS = {
    "upstream": '''shard.grid @line(shape = 4)
func.func @main(%h0: tensor<THxbf16>, %n0: tensor<THxbf16>, %m: tensor<HHxbf16>, %wb: tensor<THxbf16>) -> (tensor<THxbf16>, tensor<THxbf16>) {
  %zeros = arith.constant dense<0.0> : tensor<THxbf16>
  %zero = arith.constant dense<0.0> : tensor<Txf32>
  %hidden = arith.constant dense<H.0> : tensor<Txf32>
  %eps = arith.constant dense<1.0e-5> : tensor<Txf32>
  %wide = tensor.empty() : tensor<THxf32>
''',
    "ttir": '''module attributes {ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x4>]>} {
func.func @main(%h0: tensor<THxbf16>, %n0: tensor<THxbf16>, %m: tensor<HHxbf16>, %w: tensor<Hxbf16>) -> (tensor<THxbf16>, tensor<THxbf16>) {
''',
    "tosa": '''shard.grid @line(shape = 4)
func.func @main(%h0: tensor<THxbf16>, %n0: tensor<THxbf16>, %wb: tensor<1xHxbf16>) -> (tensor<THxbf16>, tensor<THxbf16>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %part = "tosa.const"() <{values = dense<9.765625e-04> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %eps = "tosa.const"() <{values = dense<1.0e-5> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
''',
}


def sizes(text):
    for short, size in (("THx", f"{T}x{H}x"), ("HHx", f"{H}x{H}x"), ("<1xHx", f"<1x{H}x"), ("<Tx", f"<{T}x"), ("<Hx", f"<{H}x"),
                        ("<H.0>", f"<{H}.0>"), ("i64: H>", f"i64: {H}>")):
        text = text.replace(short, size)
    return text


frontend, layers = sys.argv[1], int(sys.argv[2])
torch = frontend.startswith("torch")
head = torch_head("%x: !x, %m: !m, %w: !w, %s: !s") if torch else sizes(HEADS[frontend])
layer = sizes(LAYERS[frontend])
types = "!x, !x" if torch else sizes("tensor<THxbf16>, tensor<THxbf16>")
print(head + "".join(layer.format(i=i, p=i - 1) for i in range(1, layers + 1)) + f"  return %h{layers}, %n{layers} : {types}\n}}" +
      ("\n}" if frontend == "ttir" else ""))
