#!/usr/bin/env python3
"""flow.py WORLD SUFFIX: upstream MLIR with a function flow_<dtype>_<quant>SUFFIX for every pair:
all-reduce over WORLD ranks, residual add, RMSNorm, quantisation; flow.c calls them."""
import sys

TOKENS, HIDDEN, BLOCK = 6, 64, 16
WORLD, SUFFIX = int(sys.argv[1]), sys.argv[2]
ROWS = f"tensor<{TOKENS}x{HIDDEN}x"
BLOCKS = HIDDEN // BLOCK


def norm(dtype, after_weight):
    """The steps up to %norm and %y, its f32 value."""
    f32 = dtype == "f32"
    lines = [
        f"  %sum = shard.all_reduce %x on @ranks grid_axes = [0] : {ROWS}{dtype}> -> {ROWS}{dtype}>",
        f"  %residual = arith.addf %sum, %r : {ROWS}{dtype}>",
    ]
    h, y, w = ("%residual", "%norm", "%w") if f32 else ("%h", "%y", "%w_f32" if after_weight else "%w")
    if not f32:
        lines.append(f"  %h = arith.extf %residual : {ROWS}{dtype}> to {ROWS}f32>")
    lines += [
        f"  %square = arith.mulf {h}, {h} : {ROWS}f32>",
        f"  %total = linalg.reduce ins(%square : {ROWS}f32>) outs(%row_zeros : tensor<{TOKENS}xf32>) dimensions = [1]",
        "    (%a: f32, %b: f32) {",
        "      %c = arith.addf %a, %b : f32",
        "      linalg.yield %c : f32",
        "    }",
        f"  %mean = arith.divf %total, %hidden : tensor<{TOKENS}xf32>",
        f"  %shifted = arith.addf %mean, %eps : tensor<{TOKENS}xf32>",
        f"  %root = math.rsqrt %shifted : tensor<{TOKENS}xf32>",
        f"  %roots = linalg.broadcast ins(%root : tensor<{TOKENS}xf32>) outs(%empty : {ROWS}f32>) dimensions = [1]",
        f"  %unit = arith.mulf {h}, %roots : {ROWS}f32>",
    ]
    product = "f32" if f32 or after_weight else dtype
    if not f32 and after_weight:
        lines.append(f"  %w_f32 = arith.extf %w : tensor<{HIDDEN}x{dtype}> to tensor<{HIDDEN}xf32>")
    lines += [
        f"  %empty_w = tensor.empty() : {ROWS}{product}>",
        f"  %weights = linalg.broadcast ins({w} : tensor<{HIDDEN}x{product}>) outs(%empty_w : {ROWS}{product}>) dimensions = [0]",
    ]
    if f32:
        lines.append(f"  %norm = arith.mulf %unit, %weights : {ROWS}f32>")
    elif after_weight:
        lines += [f"  %weighted = arith.mulf %unit, %weights : {ROWS}f32>",
                  f"  %norm = arith.truncf %weighted : {ROWS}f32> to {ROWS}{dtype}>"]
    else:
        lines += [f"  %unit_t = arith.truncf %unit : {ROWS}f32> to {ROWS}{dtype}>",
                  f"  %norm = arith.mulf %unit_t, %weights : {ROWS}{dtype}>"]
    if not f32:
        lines.append(f"  %y = arith.extf %norm : {ROWS}{dtype}> to {ROWS}f32>")
    return lines, y


def clamp(of, shape, bound):
    return [f"  %low = arith.constant dense<-{bound}> : {shape}",
            f"  %high = arith.constant dense<{bound}> : {shape}",
            f"  %above = arith.maximumf {of}, %low : {shape}",
            f"  %clamped = arith.minimumf %above, %high : {shape}"]


def fp8(y):
    return [f"  %scales = linalg.broadcast ins(%g : tensor<f32>) outs(%empty : {ROWS}f32>) dimensions = [0, 1]",
            f"  %scaled = arith.divf {y}, %scales : {ROWS}f32>",
            *clamp("%scaled", f"{ROWS}f32>", "448.0"),
            f"  %codes = arith.truncf %clamped : {ROWS}f32> to {ROWS}f8E4M3FN>"]


def nvfp4(y):
    blocks, scales = f"tensor<{TOKENS}x{BLOCKS}x{BLOCK}xf32>", f"tensor<{TOKENS}x{BLOCKS}xf32>"
    return [f"  %y3 = tensor.expand_shape {y} [[0], [1, 2]] output_shape [{TOKENS}, {BLOCKS}, {BLOCK}] : {ROWS}f32> into {blocks}",
            f"  %abs = math.absf %y3 : {blocks}",
            f"  %empty_s = tensor.empty() : {scales}",
            f"  %lowest = linalg.fill ins(%zero : f32) outs(%empty_s : {scales}) -> {scales}",
            f"  %amax = linalg.reduce ins(%abs : {blocks}) outs(%lowest : {scales}) dimensions = [2]",
            "    (%a: f32, %b: f32) {",
            "      %c = arith.maximumf %a, %b : f32",
            "      linalg.yield %c : f32",
            "    }",
            f"  %six = arith.constant dense<6.0> : {scales}",
            f"  %step = arith.divf %amax, %six : {scales}",
            f"  %gs = linalg.broadcast ins(%g : tensor<f32>) outs(%empty_s : {scales}) dimensions = [0, 1]",
            f"  %step_g = arith.mulf %gs, %step : {scales}",
            f"  %scales = arith.truncf %step_g : {scales} to tensor<{TOKENS}x{BLOCKS}xf8E4M3FN>",
            f"  %sf = arith.extf %scales : tensor<{TOKENS}x{BLOCKS}xf8E4M3FN> to {scales}",
            f"  %factor = arith.divf %gs, %sf : {scales}",
            f"  %empty_3 = tensor.empty() : {blocks}",
            f"  %factors = linalg.broadcast ins(%factor : {scales}) outs(%empty_3 : {blocks}) dimensions = [2]",
            f"  %scaled0 = arith.mulf %y3, %factors : {blocks}",
            f"  %none = arith.constant dense<0.0> : {scales}",
            f"  %is_zero = arith.cmpf oeq, %sf, %none : {scales}",
            f"  %empty_b = tensor.empty() : tensor<{TOKENS}x{BLOCKS}x{BLOCK}xi1>",
            f"  %are_zero = linalg.broadcast ins(%is_zero : tensor<{TOKENS}x{BLOCKS}xi1>) outs(%empty_b : tensor<{TOKENS}x{BLOCKS}x{BLOCK}xi1>) dimensions = [2]",
            f"  %nothing = arith.constant dense<0.0> : {blocks}",
            f"  %scaled = arith.select %are_zero, %nothing, %scaled0 : tensor<{TOKENS}x{BLOCKS}x{BLOCK}xi1>, {blocks}",
            *clamp("%scaled", blocks, "6.0"),
            f"  %codes3 = arith.truncf %clamped : {blocks} to tensor<{TOKENS}x{BLOCKS}x{BLOCK}xf4E2M1FN>",
            f"  %codes = tensor.collapse_shape %codes3 [[0], [1, 2]] : tensor<{TOKENS}x{BLOCKS}x{BLOCK}xf4E2M1FN> into {ROWS}f4E2M1FN>"]


QUANTS = {"none": (lambda y: [], []),
          "fp8": (fp8, [("%codes", f"{ROWS}f8E4M3FN>")]),
          "nvfp4": (nvfp4, [("%codes", f"{ROWS}f4E2M1FN>"), ("%scales", f"tensor<{TOKENS}x{BLOCKS}xf8E4M3FN>")])}

print(f"shard.grid @ranks(shape = {WORLD})")
for dtype in ("f32", "f16", "bf16"):
    for quant, (steps, extra) in QUANTS.items():
        lines, y = norm(dtype, after_weight=dtype == "f16")
        results = [("%residual", f"{ROWS}{dtype}>"), ("%norm", f"{ROWS}{dtype}>")] + extra
        types = ", ".join(t for _, t in results)
        print(f"func.func @flow_{dtype}_{quant}{SUFFIX}(%x: {ROWS}{dtype}>, %r: {ROWS}{dtype}>, %w: tensor<{HIDDEN}x{dtype}>, %g: tensor<f32>) -> ({types}) {{")
        print("  %zero = arith.constant 0.0 : f32")
        print(f"  %hidden = arith.constant dense<{HIDDEN}.0> : tensor<{TOKENS}xf32>")
        print(f"  %eps = arith.constant dense<1.0e-5> : tensor<{TOKENS}xf32>")
        print(f"  %empty = tensor.empty() : {ROWS}f32>")
        print(f"  %empty_rows = tensor.empty() : tensor<{TOKENS}xf32>")
        print(f"  %row_zeros = linalg.fill ins(%zero : f32) outs(%empty_rows : tensor<{TOKENS}xf32>) -> tensor<{TOKENS}xf32>")
        print("\n".join(lines + steps(y)))
        print(f"  return {', '.join(v for v, _ in results)} : {types}\n}}")
