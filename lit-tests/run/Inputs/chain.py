#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""chain.py WORLD TOKENS SUFFIX: a function chain<SUFFIX> of four fused calls, each with the residual of the one before.

It gives the last residual, the norm before it, and the last codes.
"""
import sys

WORLD, TOKENS, SUFFIX = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
T, Q, W = f"tensor<{TOKENS}x64xbf16>", f"tensor<{TOKENS}x64xf8E4M3FN>", "tensor<64xbf16>"
GROUPS = f"dense<[{list(range(WORLD))}]> : tensor<1x{WORLD}xi64>"


def fused(name, x, residual, last):
    operands = [(x, T), (residual, T), ("%w", W)] + ([("%s", "tensor<f32>")] if last else [])
    print(f'  {name}:2 = "fiar.all_reduce_norm"({", ".join(v for v, _ in operands)}) {{'
          f'operandSegmentSizes = array<i32: 1, 1, 1, {int(last)}>, resultSegmentSizes = array<i32: 0, 1, {int(not last)}, {int(last)}, 0>, '
          f'eps = 1.0e-5 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "{"fp8_static" if last else "none"}", '
          f'scale_layout = "linear", group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32", '
          f'norm_rounding = "after_weight", residual_layout = "full", world = {WORLD} : i64, groups = {GROUPS}}} : '
          f'({", ".join(t for _, t in operands)}) -> ({T}, {Q if last else T})')


print(f"func.func @chain{SUFFIX}(%x: {T}, %r: {T}, %w: {W}, %s: tensor<f32>) -> ({T}, {T}, {Q}) {{")
fused("%a", "%x", "%r", False)
fused("%b", "%a#1", "%a#0", False)
fused("%c", "%b#1", "%b#0", False)
fused("%d", "%c#1", "%c#0", True)
print(f"  return %d#0, %c#1, %d#1 : {T}, {T}, {Q}\n}}")
