"""variants.py FIAR_OPT COUNT: COUNT random combinations of every alternative of every form fuse, each into the
op that its parameters say. The seed is the number of the combination, so a failure can be run alone.

variants.py print COUNT: prints small ones instead, for other passes to read."""
import random
import struct
import sys

import forms
from builder import Builder, fuse


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def build(seed, small=False):
    r = random.Random(seed)
    elem = r.choice(["bf16", "bf16", "f16", "f32"])
    hidden, rows = (128, r.choice([1, 3])) if small else (r.choice([256, 768, 2304, 4096]), r.choice([1, 3, 16, 17]))
    rows = r.choice([8, 128]) if r.random() < 0.4 else rows
    world = r.choice([2, 3, 4, 8])
    eps = r.choice([1e-6, 1e-5, 3e-4, 0.015625])
    shape = r.choice([[rows, hidden], [2, rows, hidden], [rows, 1, hidden], ["?", hidden]])
    b = Builder(world, random=r)
    want = {"world": world, "eps": f32(eps), "norm_input": "rounded", "quant": "none", "weight_bias": 0.0}
    x = b.arg(shape, elem)
    s = b.all_reduce(x, promoted=elem != "f32" and r.random() < 0.3)
    h, live = s, []
    if r.random() < 0.8:
        residual = b.arg(shape, elem)
        want["residual"] = True
        if elem != "f32" and r.random() < 0.25:
            h = b.commuted("add", b.convert(s, "f32"), b.convert(residual, "f32"))
            want["norm_input"] = "f32"
            live.append(b.convert(h, elem))
        else:
            h = b.commuted("add", s, residual)
            live.append(h)
    if r.random() < 0.2:
        h = b.op("stablehlo.optimization_barrier", [h], h[1], h[2])
    f = h if h[2] == "f32" else b.convert(h, "f32")
    if r.random() < 0.15:
        f = b.ew("subtract", f, b.splat(0.0, f))
    form = r.choice(["none", "before", "before_plus_one", "after", "after_plus_one", "root_first", "weight_first"])
    weight_elem = r.choice([elem, "f32"])
    if form == "before_plus_one":
        weight_elem = elem
    root = r.choice(["rsqrt", "one_over", "power", "divide"])
    if root == "divide" and form == "root_first":
        form = "weight_first"
    w = None if form == "none" else b.arg([hidden], weight_elem)
    exact = elem == "bf16" and want["norm_input"] == "rounded"
    squared = r.choice(["multiply", "power", "square", "abs", "HIGHEST", "DEFAULT" if exact else "HIGHEST"])
    norm = forms.rms_norm(b, f, w, form, elem, eps, squared=squared,
                          averaged=r.choice(["divide", "multiply"]), root=root, keep_late=r.random() < 0.5)
    want["weight"] = w is not None
    want["weight_bias"] = 1.0 if "plus_one" in form else 0.0
    if w:
        want["norm_rounding"] = "before_weight" if form.startswith("before") and elem != "f32" else "after_weight"
    quantise(b, r, norm, want, live)
    return b.module(*live), want


def quantise(b, r, norm, want, live):
    kind = r.choice(["none", "none", "fp8_static", "fp8_token", "fp8_group", "nvfp4", "fp8_power", "mxfp8", "mxfp4"])
    blocks = "?" not in norm[1]
    if kind in ("fp8_group", "nvfp4", "fp8_power", "mxfp8", "mxfp4") and not blocks:
        kind = "fp8_token"
    keep = kind == "none" or r.random() < 0.3
    if keep:
        live.append(norm)
    want["norm"] = keep
    want["quant"] = kind
    clamped = r.choice(["call", "clamp", "max_first", "min_first"]) if blocks else "clamp"
    multiplier, repeated = r.random() < 0.5, r.random() < 0.3
    want["scale_is"] = "multiplier" if multiplier else "divisor"
    if kind == "fp8_power":
        way, floor = r.choice(["carry", "byte", "count", "select"]), r.choice([1e-12, 1e-4])
        group = r.choice([32, 64] if norm[1][-1] == 128 else [32, 64, 128])  # one group a row is another format
        floor = r.choice([None, floor]) if way == "select" else floor  # the others have no scale for zeros
        want["scale_min"] = f32(f32(floor) / 448) if floor else 0.0
        live.extend(forms.fp8_power(b, norm, group, floor, way, r.random() < 0.3, r.choice(["none", clamped]), r.random() < 0.5,
                                    repeated=repeated))
        want.update(quant="fp8_group", scale_type="ue8m0", scale_is="divisor", group_size=group)
    elif kind in ("mxfp8", "mxfp4"):
        live.extend(forms.mx(b, norm, "f8E4M3FN" if kind == "mxfp8" else "f4E2M1FN",
                             r.choice(["unbiased", "maximum", "select"]), r.random() < 0.3, clamped, repeated=repeated,
                             shift=r.choice(["shift_right_logical", "shift_right_arithmetic"])))
        want.update(scale_type="ue8m0", scale_is="divisor", group_size=32)
    elif kind == "none":
        del want["scale_is"]
    elif kind == "fp8_static":
        live.append(forms.fp8_static(b, norm, b.arg([], "f32"), multiplier, clamped))
    elif kind == "nvfp4":
        scale = b.arg([], "f32") if multiplier or r.random() < 0.5 else None
        floor = r.choice([None, 2.0**-9, 1e-4])
        guarded = (multiplier or r.random() < 0.5) and r.choice(["EQ", "NE", "not"])
        live.extend(forms.nvfp4(b, norm, scale, multiplier, guarded, r.random() < 0.5, clamped=clamped,
                                bounded=None if multiplier else r.choice([None, "clamp", "after"]), repeated=repeated, floor=floor))
        want.update(scale_min=f32(floor) if floor else 0.0, group_size=16, scale_type="e4m3")
    else:
        group = r.choice([32, 64, 128]) if kind == "fp8_group" else None
        floor = r.choice([None, 1e-12, 1e-4])
        first = r.random() < 0.5
        if r.random() < 0.5:
            clamped = "none"
        live.extend(forms.fp8_dynamic(b, norm, group, floor, first, multiplier, clamped,
                                      repeated=repeated and group is not None))
        want["scale_min"] = 0.0 if floor is None else f32(f32(floor) / 448) if first else f32(floor)
        if group:
            want["group_size"] = group
    if blocks and kind not in ("none", "fp8_static", "fp8_token"):
        move_scales(b, r, want, live)


def move_scales(b, r, want, live):
    """Puts the scales, the last of live, into another layout now and then."""
    scales = live[-1]
    one_byte = scales[2] != "f32"
    blocks = scales[1] if one_byte else scales[1][:-1]  # these are [.., blocks, 1]
    rows, k = 1, blocks[-1]
    for size in blocks[:-1]:
        rows *= size
    want["scale_layout"] = "linear"
    tiles = [t for t in (8, 128) if one_byte and k > 4]
    tiles += [0] if not one_byte and k > 1 else []
    if tiles and r.random() < 0.7:
        tile = r.choice(tiles)
        way = r.choice(["once", "twice", "wrong"] if tile else ["once"])
        filled = r.choice(["once", "twice", "call", "concatenate"])
        # Padding with anything but zero is another tensor.
        fits = rows % (tile or 4) == 0 and (k % 4 == 0 or not tile)
        number = 1.0 if not fits and scales[2] != "f8E8M0FNU" and r.random() < 0.2 else 0.0
        live[-1] = forms.swizzled(b, scales if one_byte else b.reshape(scales, blocks), tile, way, filled, number)
        want["scale_layout"] = "linear" if way == "wrong" or number else {0: "column_major", 8: "swizzled_8x4", 128: "swizzled_128x4"}[tile]


def check(seed, want, fused, report, text):
    def fail(why):
        sys.exit(f"seed {seed}: {why}\nwant {want}\nreport {report}\n{text}")

    if len(fused) != 1:
        fail(f"{len(fused)} fused ops")
    got = fused[0]
    for key in ("norm_input", "norm_rounding", "quant", "scale_is", "scale_type", "scale_layout"):
        if key in want and got[key] != want[key]:
            fail(f"{key} is {got[key]}, want {want[key]}")
    for key in ("eps", "weight_bias", "scale_min", "world", "group_size"):
        if key in want and abs(float(got[key]) - want[key]) > 1e-6 * abs(want[key]):
            fail(f"{key} is {got[key]}, want {want[key]}")
    for name in ("residual", "weight"):
        if (name in got["operands"]) != want.get(name, False):
            fail(f"operands are {got['operands']}")
    if ("norm" in got["results"]) != want["norm"] or ("quant" in got["results"]) != (want["quant"] != "none"):
        fail(f"results are {got['results']}")
    if ("scales" in got["results"]) != (want["quant"] not in ("none", "fp8_static")):
        fail(f"results are {got['results']}")
    for left in ("stablehlo.all_reduce", "stablehlo.rsqrt", "stablehlo.sqrt", "stablehlo.reduce", "stablehlo.abs",
                 "stablehlo.dot_general", "func.call", "@clip"):
        if left in text:
            fail(f"{left} is left over")


count = int(sys.argv[2])
first = int(sys.argv[3]) if len(sys.argv) > 3 else 0
if sys.argv[1] == "print":
    print("\n// -----\n".join(build(seed, small=True)[0] for seed in range(first, first + count)))
    sys.exit()
built = [build(seed) for seed in range(first, first + count)]
for seed, ((text, want), result) in enumerate(zip(built, fuse(sys.argv[1], [m for m, _ in built])), first):
    check(seed, want, *result)
print(f"{count} variants fuse as their parameters say")
