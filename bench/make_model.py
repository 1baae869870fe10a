#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a tensor-parallel Llama-style model as StableHLO, in the form JAX prints for a shard_map function.

Every layer has two all-reduces, each followed by a residual add and an RMSNorm; with --quant the norm
before the MLP is quantised. Attention is left out: it has no all-reduce. For benchmarks and tests.
"""
import argparse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--tokens", type=int, default=16)
parser.add_argument("--hidden", type=int, default=1024)
parser.add_argument("--world", type=int, default=4)
parser.add_argument("--dtype", default="bf16", choices=["bf16", "f16", "f32"])
parser.add_argument("--eps", type=float, default=1e-6)
parser.add_argument("--norm", default="llama", choices=["llama", "gemma", "torch"],
                    help="rounded before the weight; times 1 + w in f32; times w in f32")
parser.add_argument("--quant", default="none", choices=["none", "fp8", "fp8_token", "nvfp4"])
args = parser.parse_args()
T, H, N, D, F = args.tokens, args.hidden, args.world, args.dtype, args.hidden // args.world


class Block:
    """Numbers the values of one region and collects its lines."""

    def __init__(self):
        self.lines, self.count = [], 0

    def op(self, text):
        name = f"%v{self.count}"
        self.count += 1
        self.lines.append(f"      {name} = {text}")
        return name


def t(*dims, of=D):
    return f"tensor<{'x'.join([*map(str, dims), of])}>"


def scalar(b, value, shape):
    c = b.op(f"stablehlo.constant dense<{value:e}> : tensor<f32>")
    return b.op(f"stablehlo.broadcast_in_dim {c}, dims = [] : (tensor<f32>) -> {shape}")


def convert(b, x, src, dst):
    return x if src == dst else b.op(f"stablehlo.convert {x} : ({src}) -> {dst}")


def dot(b, x, xt, w, wt, out):
    return b.op(f"stablehlo.dot_general {x}, {w}, contracting_dims = [1] x [0], "
                f"precision = [DEFAULT, DEFAULT] : ({xt}, {wt}) -> {out}")


def all_reduce(b, x):
    b.lines.append(f'''      %r{b.count} = "stablehlo.all_reduce"({x}) <{{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}}> ({{
      ^bb0(%a: tensor<{D}>, %b: tensor<{D}>):
        %s = stablehlo.add %a, %b : tensor<{D}>
        stablehlo.return %s : tensor<{D}>
      }}) : ({t(T, H)}) -> {t(T, H)}''')
    b.count += 1
    return f"%r{b.count - 1}"


def rms_norm(b, x, w):
    f, col = t(T, H, of="f32"), t(T, 1, of="f32")
    wide = convert(b, x, t(T, H), f)
    square = b.op(f"stablehlo.multiply {wide}, {wide} : {f}")
    zero = b.op("stablehlo.constant dense<0.000000e+00> : tensor<f32>")
    total = b.op(f"stablehlo.reduce({square} init: {zero}) applies stablehlo.add across dimensions = [1] : "
                 f"({f}, tensor<f32>) -> {t(T, of='f32')}")
    total = b.op(f"stablehlo.broadcast_in_dim {total}, dims = [0] : ({t(T, of='f32')}) -> {col}")
    mean = b.op(f"stablehlo.divide {total}, {scalar(b, H, col)} : {col}")
    mean = b.op(f"stablehlo.add {mean}, {scalar(b, args.eps, col)} : {col}")
    root = b.op(f"stablehlo.rsqrt {mean} : {col}")
    root = b.op(f"stablehlo.broadcast_in_dim {root}, dims = [0, 1] : ({col}) -> {f}")
    normal = b.op(f"stablehlo.multiply {wide}, {root} : {f}")
    if args.norm != "llama":
        return weighted_wide(b, normal, w)
    normal = convert(b, normal, f, t(T, H))
    row = b.op(f"stablehlo.broadcast_in_dim {w}, dims = [1] : ({t(H)}) -> {t(1, H)}")
    row = b.op(f"stablehlo.broadcast_in_dim {row}, dims = [0, 1] : ({t(1, H)}) -> {t(T, H)}")
    return b.op(f"stablehlo.multiply {normal}, {row} : {t(T, H)}")


def weighted_wide(b, normal, w):
    """The weight, or 1 + weight, in f32; one rounding at the end."""
    f, vector = t(T, H, of="f32"), t(H, of="f32")
    wide = convert(b, w, t(H), vector)
    if args.norm == "gemma":
        wide = b.op(f"stablehlo.add {scalar(b, 1, vector)}, {wide} : {vector}")
    row = b.op(f"stablehlo.broadcast_in_dim {wide}, dims = [1] : ({vector}) -> {f}")
    return convert(b, b.op(f"stablehlo.multiply {normal}, {row} : {f}"), f, t(T, H))


def largest(b, wide, shape, reduced, kept):
    """max |x| over the last dimension of shape, kept with size 1."""
    size = b.op(f"stablehlo.abs {wide} : {shape}")
    start = b.op("stablehlo.constant dense<0xFF800000> : tensor<f32>")
    last = shape.count("x") - 1
    top = b.op(f"stablehlo.reduce({size} init: {start}) applies stablehlo.maximum across dimensions = [{last}] : "
               f"({shape}, tensor<f32>) -> {reduced}")
    return b.op(f"stablehlo.broadcast_in_dim {top}, dims = {list(range(last))} : ({reduced}) -> {kept}")


def fp8_token(b, y):
    f, col, q = t(T, H, of="f32"), t(T, 1, of="f32"), t(T, H, of="f8E4M3FN")
    wide = convert(b, y, t(T, H), f)
    top = largest(b, wide, f, t(T, of="f32"), col)
    scale = b.op(f"stablehlo.divide {top}, {scalar(b, 448, col)} : {col}")
    scale = b.op(f"stablehlo.maximum {scale}, {scalar(b, 1e-12, col)} : {col}")
    rows = b.op(f"stablehlo.broadcast_in_dim {scale}, dims = [0, 1] : ({col}) -> {f}")
    code = b.op(f"stablehlo.divide {wide}, {rows} : {f}")
    code = b.op(f"stablehlo.convert {code} : ({f}) -> {q}")
    b.op(f'stablehlo.custom_call @use_scales({scale}) {{has_side_effect = true}} : ({col}) -> {col}')
    return code


def nvfp4(b, y, g):
    blocks, sf, wide_sf = t(T, H // 16, 16, of="f32"), t(T, H // 16, 1, of="f8E4M3FN"), t(T, H // 16, 1, of="f32")
    wide = b.op(f"stablehlo.reshape {convert(b, y, t(T, H), t(T, H, of='f32'))} : ({t(T, H, of='f32')}) -> {blocks}")
    top = largest(b, wide, blocks, t(T, H // 16, of="f32"), wide_sf)
    top = b.op(f"stablehlo.divide {top}, {scalar(b, 6, wide_sf)} : {wide_sf}")
    all_g = b.op(f"stablehlo.broadcast_in_dim {g}, dims = [] : (tensor<f32>) -> {wide_sf}")
    scale = b.op(f"stablehlo.convert {b.op(f'stablehlo.multiply {all_g}, {top} : {wide_sf}')} : ({wide_sf}) -> {sf}")
    back = b.op(f"stablehlo.convert {scale} : ({sf}) -> {wide_sf}")
    none = b.op(f"stablehlo.compare EQ, {back}, {scalar(b, 0, wide_sf)}, FLOAT : ({wide_sf}, {wide_sf}) -> {t(T, H // 16, 1, of='i1')}")
    ratio = b.op(f"stablehlo.divide {all_g}, {back} : {wide_sf}")
    ratio = b.op(f"stablehlo.broadcast_in_dim {ratio}, dims = [0, 1, 2] : ({wide_sf}) -> {blocks}")
    ratio = b.op(f"stablehlo.multiply {wide}, {ratio} : {blocks}")
    none = b.op(f"stablehlo.broadcast_in_dim {none}, dims = [0, 1, 2] : ({t(T, H // 16, 1, of='i1')}) -> {t(T, H // 16, 16, of='i1')}")
    ratio = b.op(f"stablehlo.select {none}, {scalar(b, 0, blocks)}, {ratio} : {t(T, H // 16, 16, of='i1')}, {blocks}")
    ratio = b.op(f"stablehlo.clamp {scalar(b, -6, blocks)}, {ratio}, {scalar(b, 6, blocks)} : {blocks}")
    code = b.op(f"stablehlo.convert {ratio} : ({blocks}) -> {t(T, H // 16, 16, of='f4E2M1FN')}")
    code = b.op(f"stablehlo.reshape {code} : ({t(T, H // 16, 16, of='f4E2M1FN')}) -> {t(T, H, of='f4E2M1FN')}")
    scale = b.op(f"stablehlo.reshape {scale} : ({sf}) -> {t(T, H // 16, of='f8E4M3FN')}")
    b.op(f'stablehlo.custom_call @use_scales({scale}) {{has_side_effect = true}} : ({t(T, H // 16, of="f8E4M3FN")}) -> {t(T, H // 16, of="f8E4M3FN")}')
    return code


QUANTISERS = {  # name: the codes' type, and the quantiser of (block, norm)
    "fp8": ("f8E4M3FN", lambda b, y: fp8(b, y, "%scale")),
    "fp8_token": ("f8E4M3FN", fp8_token),
    "nvfp4": ("f4E2M1FN", lambda b, y: nvfp4(b, y, "%scale")),
}


def fp8(b, y, scale):
    f, q = t(T, H, of="f32"), t(T, H, of="f8E4M3FN")
    wide = convert(b, y, t(T, H), f)
    by = b.op(f"stablehlo.broadcast_in_dim {scale}, dims = [] : (tensor<f32>) -> {f}")
    low = b.op("stablehlo.constant dense<-4.480000e+02> : tensor<f32>")
    high = b.op("stablehlo.constant dense<4.480000e+02> : tensor<f32>")
    ratio = b.op(f"stablehlo.divide {wide}, {by} : {f}")
    ratio = b.op(f"func.call @clip({ratio}, {low}, {high}) : ({f}, tensor<f32>, tensor<f32>) -> {f}")
    return b.op(f"stablehlo.convert {ratio} : ({f}) -> {q}")


def layer(b, normal, residual):
    part = dot(b, dot(b, normal, t(T, H), "%wu", t(H, F), t(T, F)), t(T, F), "%wd", t(F, H), t(T, H))
    residual = b.op(f"stablehlo.add {residual}, {all_reduce(b, part)} : {t(T, H)}")
    normal = rms_norm(b, residual, "%g")
    if args.quant != "none":
        of, quantise = QUANTISERS[args.quant]
        hidden = dot(b, quantise(b, normal), t(T, H, of=of), "%wq", t(H, F, of="f8E4M3FN"), t(T, F, of="f32"))
        hidden = convert(b, hidden, t(T, F, of="f32"), t(T, F))
    else:
        hidden = dot(b, normal, t(T, H), "%wu", t(H, F), t(T, F))
    part = dot(b, hidden, t(T, F), "%wd", t(F, H), t(T, H))
    residual = b.op(f"stablehlo.add {residual}, {all_reduce(b, part)} : {t(T, H)}")
    return rms_norm(b, residual, "%g"), residual


body = Block()
normal, residual = "%x", "%res"
for _ in range(args.layers):
    normal, residual = layer(body, normal, residual)
outer = [t(T, H), t(T, H), t(H), "tensor<f32>", t(H, H), t(H, H), t(H, H, of="f8E4M3FN")]
inner = [t(T, H), t(T, H), t(H), "tensor<f32>", t(H, F), t(F, H), t(H, F, of="f8E4M3FN")]
names = ["%x", "%res", "%g", "%scale", "%wu", "%wd", "%wq"]
shardings = ['[{}, {}]', '[{}, {}]', '[{}]', '[]', '[{}, {"tp"}]', '[{"tp"}, {}]', '[{}, {"tp"}]']
f = t(T, H, of="f32")
print(f'''module @model attributes {{mhlo.num_partitions = {N} : i32, mhlo.num_replicas = 1 : i32}} {{
  sdy.mesh @mesh = <["tp"={N}]>
  func.func public @main({", ".join(f"%arg{i}: {s}" for i, s in enumerate(outer))}) -> ({t(T, H)}, {t(T, H)}) {{
    %0:2 = sdy.manual_computation({", ".join(f"%arg{i}" for i in range(len(outer)))}) in_shardings=[{", ".join(f"<@mesh, {s}>" for s in shardings)}] out_shardings=[<@mesh, [{{}}, {{}}]>, <@mesh, [{{}}, {{}}]>] manual_axes={{"tp"}} ({", ".join(f"{n}: {s}" for n, s in zip(names, inner))}) {{''')
print("\n".join(body.lines))
print(f'''      sdy.return {normal}, {residual} : {t(T, H)}, {t(T, H)}
    }} : ({", ".join(outer)}) -> ({t(T, H)}, {t(T, H)})
    return %0#0, %0#1 : {t(T, H)}, {t(T, H)}
  }}''')
if args.quant == "fp8":
    print(f'''  func.func private @clip(%arg0: {f}, %arg1: tensor<f32>, %arg2: tensor<f32>) -> {f} {{
    %0 = stablehlo.broadcast_in_dim %arg1, dims = [] : (tensor<f32>) -> {f}
    %1 = stablehlo.maximum %0, %arg0 : {f}
    %2 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<f32>) -> {f}
    %3 = stablehlo.minimum %2, %1 : {f}
    return %3 : {f}
  }}''')
print("}")
