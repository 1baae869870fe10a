#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""layers.py WORLD TOKENS SUFFIX [loop]: upstream MLIR with a function chain<SUFFIX>, as chain.c calls it: 80 layers of
two all-reduces, each with residual add and RMSNorm, the last one quantised to fp8. What comes before an all-reduce is the norm
times what the rank was called with, so that every rank adds something else. With "loop" all
layers but the last are the rounds of an scf.for."""
import sys

HIDDEN, LAYERS = 64, 80
WORLD, TOKENS, SUFFIX = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
T, F, R = f"tensor<{TOKENS}x{HIDDEN}xbf16>", f"tensor<{TOKENS}x{HIDDEN}xf32>", f"tensor<{TOKENS}xf32>"
Q, W = f"tensor<{TOKENS}x{HIDDEN}xf8E4M3FN>", f"tensor<{HIDDEN}xbf16>"
KNOWN = '{mhlo.sharding = "{replicated}"}'


def block(n, x, residual):
    """all-reduce, add, RMSNorm: the residual is %h<n>, the norm %norm<n>."""
    return f"""
  %sum{n} = shard.all_reduce {x} on @ranks grid_axes = [0] : {T} -> {T}
  %h{n} = arith.addf %sum{n}, {residual} : {T}
  %wide{n} = arith.extf %h{n} : {T} to {F}
  %square{n} = arith.mulf %wide{n}, %wide{n} : {F}
  %total{n} = linalg.reduce ins(%square{n} : {F}) outs(%row_zeros : {R}) dimensions = [1]
    (%a: f32, %b: f32) {{
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }}
  %mean{n} = arith.divf %total{n}, %count : {R}
  %shifted{n} = arith.addf %mean{n}, %eps : {R}
  %root{n} = math.rsqrt %shifted{n} : {R}
  %roots{n} = linalg.broadcast ins(%root{n} : {R}) outs(%empty : {F}) dimensions = [1]
  %unit{n} = arith.mulf %wide{n}, %roots{n} : {F}
  %narrow{n} = arith.truncf %unit{n} : {F} to {T}
  %weights{n} = linalg.broadcast ins(%w : {W}) outs(%empty_w : {T}) dimensions = [0]
  %norm{n} = arith.mulf %narrow{n}, %weights{n} : {T}"""


def layer(n, x, residual):
    """Two blocks; %x<n + 1> is what the next one all-reduces."""
    return (block(n, x, residual) + f"\n  %x{n} = arith.mulf %norm{n}, %x : {T}" +
            block(n + 1, f"%x{n}", f"%h{n}") + f"\n  %x{n + 1} = arith.mulf %norm{n + 1}, %x : {T}")


print(f"""shard.grid @ranks(shape = {WORLD})
func.func @chain{SUFFIX}(%x: {T}, %r: {T} {KNOWN}, %w: {W} {KNOWN}, %s: tensor<f32> {KNOWN}) -> ({T}, {T}, {Q}) {{
  %zero = arith.constant 0.0 : f32
  %count = arith.constant dense<{HIDDEN}.0> : {R}
  %eps = arith.constant dense<1.0e-5> : {R}
  %empty = tensor.empty() : {F}
  %empty_w = tensor.empty() : {T}
  %empty_rows = tensor.empty() : {R}
  %row_zeros = linalg.fill ins(%zero : f32) outs(%empty_rows : {R}) -> {R}""", end="")
last = 2 * LAYERS - 1
if "loop" in sys.argv:
    print(f"""
  %lo = arith.constant 0 : index
  %hi = arith.constant {LAYERS - 1} : index
  %st = arith.constant 1 : index
  %l:2 = scf.for %i = %lo to %hi step %st iter_args(%cx = %x, %ch = %r) -> ({T}, {T}) {{{layer(0, "%cx", "%ch")}
  scf.yield %x1, %h1 : {T}, {T}
  }}""", end="")
    print(layer(last - 1, "%l#0", "%l#1"), end="")
else:
    for n in range(0, 2 * LAYERS, 2):
        print(layer(n, f"%x{n - 1}" if n else "%x", f"%h{n - 1}" if n else "%r"), end="")
print(f"""
  %y = arith.extf %norm{last} : {T} to {F}
  %scales = linalg.broadcast ins(%s : tensor<f32>) outs(%empty : {F}) dimensions = [0, 1]
  %scaled = arith.divf %y, %scales : {F}
  %low = arith.constant dense<-448.0> : {F}
  %high = arith.constant dense<448.0> : {F}
  %above = arith.maximumf %scaled, %low : {F}
  %clamped = arith.minimumf %above, %high : {F}
  %codes = arith.truncf %clamped : {F} to {Q}
  return %h{last}, %norm{last - 1}, %codes : {T}, {T}, {Q}
}}""")
