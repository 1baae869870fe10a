"""The forms of residual add, RMSNorm and quantiser that models use, with their alternatives as parameters."""


def rows_of(shape):
    return list(range(len(shape) - 1))


def square(b, h, way):
    if way == "multiply":
        return b.ew("multiply", h, h)
    if way == "power":
        return b.ew("power", h, b.splat(2.0, h))
    if way == "abs":
        a = b.ew("abs", h)
        return b.ew("multiply", a, a)
    return b.ew("chlo.square", h)


def row_products(b, x, y, precision, elem="f32"):
    """Row times row, as an einsum "..d,..d->.." prints it."""
    last = len(x[1]) - 1
    batch = ", ".join(map(str, range(last)))
    numbers = ", ".join(f"{side}_batching_dimensions = [{batch}]" for side in ("lhs", "rhs")) + \
        f", lhs_contracting_dimensions = [{last}], rhs_contracting_dimensions = [{last}]"
    return b.op("stablehlo.dot_general", [x, y], x[1][:-1], elem, f"<{{dot_dimension_numbers = #stablehlo.dot<{numbers}>, "
                f"precision_config = [#stablehlo<precision {precision}>, #stablehlo<precision {precision}>]}}> ")


def mean(b, sum_, hidden, way):
    if way == "divide":
        return b.ew("divide", sum_, b.splat(float(hidden), sum_))
    return b.commuted("multiply", sum_, b.splat(1.0 / hidden, sum_))


def reciprocal_root(b, e, way):
    """The reciprocal root, or (root, True) where the norm divides by it."""
    if way == "rsqrt":
        return b.ew("rsqrt", e), False
    if way == "power":
        return b.ew("power", e, b.splat(-0.5, e)), False
    root = b.ew("sqrt", e)
    return (b.ew("divide", b.splat(1.0, root), root), False) if way == "one_over" else (root, True)


def expand(b, rows, shape):
    """Row values [.., 1] or [..] back to the full shape, in one step or two."""
    if len(rows[1]) < len(shape):
        if b.random and b.random.random() < 0.5 and "?" not in shape:
            return b.broadcast(rows, shape, rows_of(shape))
        rows = b.broadcast(rows, [*shape[:-1], 1], rows_of(shape))
    return b.broadcast(rows, shape, list(range(len(shape))))


def vector(b, w, shape):
    """The weight [H] (or [1, H], ..) in the full shape."""
    rank, own = len(shape), len(w[1])
    if own == rank:
        return b.broadcast(w, shape, list(range(rank)))
    if b.random and b.random.random() < 0.5:
        return b.broadcast(w, shape, [rank - 1])
    wide = b.broadcast(w, [*[1] * (rank - 1), shape[-1]], [rank - 1])
    return b.broadcast(wide, shape, list(range(rank)))


def rms_statistics(b, h, eps, squared="multiply", averaged="divide", root="rsqrt", keep_late=False, count=None, dims=None,
                   hidden=None):
    shape = h[1]
    hidden = hidden or shape[-1]
    if squared in ("DEFAULT", "HIGHEST"):
        sums = row_products(b, h, h, squared)
    else:
        sums = b.reduce("add", square(b, h, squared), dims or [len(shape) - 1])
    if not keep_late and not dims:
        sums = b.broadcast(sums, [*shape[:-1], 1], rows_of(shape))
    means = mean(b, sums, count or hidden, averaged)
    return reciprocal_root(b, b.commuted("add", means, b.splat(eps, means)), root)


def rms_norm(b, h, w, form, elem, eps, **ways):
    """h in f32; the norm in `elem`. Forms as in docs/passes/fiar-fuse.md."""
    rows, divides = rms_statistics(b, h, eps, **ways)
    full = expand(b, rows, h[1])
    if form == "root_first" and not divides:  # (rsqrt * w) * x
        weight = vector(b, b.convert(w, "f32") if w[2] != "f32" else w, h[1])
        norm = b.commuted("multiply", h, b.commuted("multiply", full, weight))
        return b.convert(norm, elem) if elem != "f32" else norm
    if form == "weight_first":  # (x * w) * rsqrt
        weight = vector(b, b.convert(w, "f32") if w[2] != "f32" else w, h[1])
        weighted = b.commuted("multiply", h, weight)
        norm = b.ew("divide", weighted, full) if divides else b.commuted("multiply", weighted, full)
        return b.convert(norm, elem) if elem != "f32" else norm
    normed = b.ew("divide", h, full) if divides else b.commuted("multiply", h, full)
    narrow = lambda v: b.convert(v, elem) if elem != "f32" else v
    if form == "none":
        return narrow(normed)
    if form in ("before", "before_plus_one"):
        if w[2] == elem:
            if form == "before_plus_one":
                w = b.commuted("add", w, b.splat(1.0, w))
            return b.commuted("multiply", narrow(normed), vector(b, w, h[1]))
        wide = b.convert(narrow(normed), "f32") if elem != "f32" else normed
        return narrow(b.commuted("multiply", wide, vector(b, w, h[1])))
    w = b.convert(w, "f32") if w[2] != "f32" else w
    if form == "after_plus_one":
        w = b.commuted("add", b.splat(1.0, w), w)
    return narrow(b.commuted("multiply", normed, vector(b, w, h[1])))


def clamp(b, v, bound, way):
    if way == "clamp":
        return b.op("stablehlo.clamp", [b.constant(-bound), v, b.constant(bound)], v[1], v[2])
    if way == "none":
        return v
    if way == "call":
        def body(inner, a):
            low = inner.broadcast(inner.convert(a[1], "f32"), a[0][1], [])
            high = inner.broadcast(inner.convert(a[2], "f32"), a[0][1], [])
            return inner.ew("minimum", high, inner.ew("maximum", low, a[0]))
        bounds = [b.constant(int(s * bound), "i32") for s in (-1, 1)]
        return b.call("clip", [v, *bounds], v[1], v[2], body)
    if way == "max_first":
        return b.commuted("minimum", b.commuted("maximum", v, b.splat(-bound, v)), b.splat(bound, v))
    return b.commuted("maximum", b.commuted("minimum", v, b.splat(bound, v)), b.splat(-bound, v))


def wide(b, norm):
    return b.convert(norm, "f32") if norm[2] != "f32" else norm


def fp8_static(b, norm, scale, multiplier, clamped="call", to="f8E4M3FN", bound=448.0):
    y = wide(b, norm)
    s = b.broadcast(scale, y[1], [])
    scaled = b.commuted("multiply", y, s) if multiplier else b.ew("divide", y, s)
    return b.convert(clamp(b, scaled, bound, clamped), to)


def over_blocks(b, values, y, repeated):
    """One value a block in y's shape [.., blocks, lanes]; in the norm's own, as jnp.repeat gives it, where repeated."""
    full = b.broadcast(values, y[1], list(range(len(y[1]))))
    return b.reshape(full, flat(y)) if repeated else full


def flat(y):
    return [*y[1][:-2], y[1][-2] * y[1][-1]]


def fp8_dynamic(b, norm, group=None, floor=None, floor_first=False, reciprocal=False, clamped="none", range_=448.0,
                repeated=False):
    y = wide(b, norm)
    full = list(y[1])
    if group:
        y = b.reshape(y, [*full[:-1], full[-1] // group, group])
    amax = b.reduce("maximum", b.ew("abs", y), [len(y[1]) - 1])
    amax = b.broadcast(amax, [*y[1][:-1], 1], rows_of(y[1]))
    if floor and floor_first:
        amax = b.commuted("maximum", amax, b.splat(floor, amax))
    step = b.ew("divide", amax, b.splat(range_, amax))
    if floor and not floor_first:
        step = b.commuted("maximum", step, b.splat(floor, step))
    codes = divided(b, y, step, reciprocal, clamped, 448.0, "f8E4M3FN", repeated)
    return (b.reshape(codes, full) if group else codes), step


def nvfp4(b, norm, scale, multiplier, guarded=True, barrier=False, block=16, clamped="call", bounded=None,
          repeated=False, floor=None):
    y = wide(b, norm)
    full = list(y[1])
    if scale and not multiplier:
        y = b.ew("divide", y, b.broadcast(scale, y[1], []))
    y = b.reshape(y, [*full[:-1], full[-1] // block, block])
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [len(y[1]) - 1]), [*y[1][:-1], 1], rows_of(y[1]))
    step = b.ew("divide", amax, b.splat(6.0, amax))
    if floor and bounded == "clamp":
        step = b.op("stablehlo.clamp", [b.constant(floor), step, b.constant(448.0)], step[1], "f32")
    elif floor and bounded != "after":
        step = b.commuted("maximum", step, b.splat(floor, step))
    if bounded == "before":
        step = b.commuted("minimum", step, b.splat(448.0, step))
    if multiplier:
        step = b.commuted("multiply", step, b.broadcast(scale, step[1], []))
    if bounded == "after":
        step = b.commuted("maximum", step, b.splat(floor, step)) if floor else step
        step = b.commuted("minimum", step, b.splat(448.0, step))
    sf = b.convert(step, "f8E4M3FN")
    if barrier:
        sf = b.op("stablehlo.optimization_barrier", [sf], sf[1], sf[2])
    f = b.convert(sf, "f32")
    x = b.reshape(y, full) if repeated else y
    if multiplier:
        factor = b.ew("divide", b.broadcast(scale, f[1], []), f)
        scaled = b.commuted("multiply", x, over_blocks(b, factor, y, repeated))
    else:
        scaled = b.ew("divide", x, over_blocks(b, f, y, repeated))
    if guarded:  # by default on equal
        test = compare(b, f, "EQ" if guarded in (True, "not") else guarded, b.splat(0.0, f))
        test = over_blocks(b, b.ew("not", test) if guarded == "not" else test, y, repeated)
        ways = [b.splat(0.0, scaled), scaled]
        ways = ways if guarded in (True, "EQ") else ways[::-1]
        scaled = b.op("stablehlo.select", [test, *ways], x[1], "f32")
    codes = b.convert(clamp(b, scaled, 6.0, clamped), "f4E2M1FN")
    return b.reshape(codes, full), b.reshape(sf, sf[1][:-1])


def compare(b, x, direction, y):
    return b.op("stablehlo.compare", [x, y], x[1], "i1",
                f"<{{comparison_direction = #stablehlo<comparison_direction {direction}>}}> ")


def bits(b, v, elem="i32"):
    return b.ew("stablehlo.bitcast_convert", v, elem=elem)


def rounded_up(b, step, way):
    """(the scale as f32, as f8E8M0FNU): step rounded up to a power of two."""
    if way == "carry":  # a mantissa that is not zero carries into the exponent
        carried = b.commuted("add", bits(b, step), b.splat(0x7FFFFF, step, "i32"))
        power = bits(b, b.commuted("and", carried, b.splat(0x7F800000, step, "i32")), "f32")
        return power, b.convert(power, "f8E8M0FNU")
    if way == "byte":
        carried = b.commuted("add", bits(b, step, "ui32"), b.splat(0x7FFFFF, step, "ui32"))
        byte = b.convert(b.ew("shift_right_logical", carried, b.splat(23, step, "ui32")), "ui8")
        scale = bits(b, byte, "f8E8M0FNU")
        return b.convert(scale, "f32"), scale
    if way == "count":  # as DeepGEMM counts
        whole = bits(b, step)
        exponent = b.commuted("and", b.ew("shift_right_logical", whole, b.splat(23, step, "i32")), b.splat(255, step, "i32"))
        rest = b.commuted("and", whole, b.splat(0x7FFFFF, step, "i32"))
        exponent = b.commuted("add", exponent, b.convert(compare(b, rest, "NE", b.splat(0, rest)), "i32"))
        exponent = b.op("stablehlo.clamp", [b.constant(1, "i32"), exponent, b.constant(254, "i32")], exponent[1], "i32")
        power = bits(b, b.ew("shift_left", exponent, b.splat(23, exponent)), "f32")
        return power, b.convert(power, "f8E8M0FNU")
    whole = bits(b, step, "ui32")  # "select": as jax.nn.scaled_matmul's quantiser does
    exponent = b.ew("shift_right_logical", whole, b.splat(23, whole))
    rest = b.commuted("and", whole, b.splat(0x7FFFFF, whole))
    small = b.commuted("and", compare(b, exponent, "EQ", b.splat(0, exponent)),
                       compare(b, rest, "LE", b.splat(0x400000, rest)))
    up = b.commuted("and", compare(b, rest, "GT", b.splat(0, rest)), compare(b, exponent, "NE", b.splat(0xFE, exponent)))
    up = b.commuted("and", up, b.ew("not", small))
    more = b.commuted("add", exponent, b.splat(1, exponent))
    byte = b.convert(b.op("stablehlo.select", [up, more, exponent], exponent[1], "ui32"), "ui8")
    power = bits(b, b.ew("shift_left", b.convert(byte, "ui32"), b.splat(23, byte, "ui32")), "f32")
    zero = compare(b, power, "EQ", b.splat(0.0, power))
    power = b.op("stablehlo.select", [zero, b.splat(2.0**-127, power), power], power[1], "f32")
    return power, bits(b, byte, "f8E8M0FNU")


def fp8_power(b, norm, group, floor, way, reciprocal=False, clamped="none", reread=False, round_=rounded_up, repeated=False):
    y = wide(b, norm)
    full = list(y[1])
    y = b.reshape(y, [*full[:-1], full[-1] // group, group])
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [len(y[1]) - 1]), [*y[1][:-1], 1], rows_of(y[1]))
    if floor:
        amax = b.commuted("maximum", amax, b.splat(floor, amax))
    power, scale = round_(b, b.ew("divide", amax, b.splat(448.0, amax)), way)
    return b.reshape(divided(b, y, b.convert(scale, "f32") if reread else power, reciprocal, clamped, 448.0, "f8E4M3FN",
                             repeated), full), b.reshape(scale, scale[1][:-1])


def divided(b, y, power, reciprocal, clamped, bound, to, repeated=False):
    x = b.reshape(y, flat(y)) if repeated else y
    if reciprocal:
        factor = b.ew("divide", b.splat(1.0, power), power)
        scaled = b.commuted("multiply", x, over_blocks(b, factor, y, repeated))
    else:
        scaled = b.ew("divide", x, over_blocks(b, power, y, repeated))
    return b.convert(clamp(b, scaled, bound, clamped), to)


def mx(b, norm, to, way, reciprocal=False, clamped="clamp", block=32, largest=None, repeated=False,
       shift="shift_right_logical"):
    """Blocks of 32 under 2^(floor(log2(amax)) - the largest exponent of the codes)."""
    largest = largest or (8 if to == "f8E4M3FN" else 2)
    y = wide(b, norm)
    full = list(y[1])
    y = b.reshape(y, [*full[:-1], full[-1] // block, block])
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [len(y[1]) - 1]), [*y[1][:-1], 1], rows_of(y[1]))
    exponent = b.ew(shift, bits(b, amax), b.splat(23, amax, "i32"))
    if way == "unbiased":
        exponent = b.ew("subtract", b.ew("subtract", exponent, b.splat(127, exponent)), b.splat(largest, exponent))
        exponent = b.op("stablehlo.clamp", [b.constant(-127, "i32"), exponent, b.constant(127, "i32")], exponent[1], "i32")
        exponent = b.commuted("add", exponent, b.splat(127, exponent))
    elif way == "maximum":
        exponent = b.commuted("maximum", b.ew("subtract", exponent, b.splat(largest, exponent)), b.splat(0, exponent))
    else:
        less = b.ew("subtract", exponent, b.splat(largest, exponent))
        small = compare(b, exponent, "LT", b.splat(largest, exponent))
        exponent = b.op("stablehlo.select", [small, b.splat(0, exponent), less], exponent[1], "i32")
    scale = bits(b, b.convert(exponent, "ui8"), "f8E8M0FNU")
    codes = divided(b, y, b.convert(scale, "f32"), reciprocal, clamped, 448.0 if to == "f8E4M3FN" else 6.0, to,
                    repeated)
    return b.reshape(codes, full), b.reshape(scale, scale[1][:-1])


def padded(b, scales, rows, k, way, number=0.0):
    """The [rows, k] corner of a tensor of zeros, which holds the scales; all at once, or rows first."""
    elem = scales[2]
    zero = lambda b, shape=(): b.constant(5.877471754e-39 if elem == "f8E8M0FNU" else number, elem, shape)

    def pad(b, value, high, fill):
        shape = [size + more for size, more in zip(value[1], high)]
        return b.op("stablehlo.pad", [value, fill], shape, elem, f"<{{edge_padding_low = array<i64: 0, 0>, edge_padding_high = "
                    f"array<i64: {high[0]}, {high[1]}>, interior_padding = array<i64: 0, 0>}}> ")

    high = [rows - scales[1][0], k - scales[1][1]]
    if high == [0, 0]:
        return scales
    if way == "call":  # as jnp.pad prints it
        return b.call("_pad", [scales, zero(b)], [rows, k], elem, lambda inner, a: pad(inner, a[0], high, a[1]))
    if way == "concatenate":
        for dim in (0, 1):
            if high[dim]:
                more = list(scales[1])
                more[dim] = high[dim]
                whole = list(scales[1])
                whole[dim] += high[dim]
                fill = zero(b, more) if b.random.random() < 0.5 else b.broadcast(zero(b), more, [])
                scales = b.op("stablehlo.concatenate", [scales, fill], whole, elem, f"<{{dimension = {dim} : i64}}> ")
        return scales
    if way == "twice":
        scales = pad(b, scales, [high[0], 0], zero(b))
        high[0] = 0
    return pad(b, scales, high, zero(b))


def swizzled(b, scales, tile, way, filled="once", number=0.0):
    """The scales of rows in tiles of `tile` rows and 4 columns, as cuBLASLt reads them; as a transpose for 0."""
    rows, k = 1, scales[1][-1]
    for size in scales[1][:-1]:
        rows *= size
    up = lambda n, by: -(-n // by) * by
    if len(scales[1]) != 2:
        scales = b.reshape(scales, [rows, k])
    rows, k = up(rows, tile or 4), up(k, 4) if tile else k
    scales = padded(b, scales, rows, k, filled, number)
    if tile == 0:
        return b.transpose(b.reshape(scales, [rows, k]), [1, 0])
    if way == "wrong":  # each tile has its rows as the other one has them
        order = [0, 3, 1, 2, 4] if tile == 128 else [0, 3, 2, 1, 4]
        return b.reshape(b.transpose(b.reshape(scales, [rows // tile, 4, tile // 4, k // 4, 4]), order), [rows, k])
    if tile == 8:
        return b.reshape(b.transpose(b.reshape(scales, [rows // 8, 8, k // 4, 4]), [0, 2, 1, 3]), [rows, k])
    if way == "once":
        moved = b.transpose(b.reshape(scales, [rows // 128, 4, 32, k // 4, 4]), [0, 3, 2, 1, 4])
        return b.reshape(moved, [rows, k])
    blocks = b.transpose(b.reshape(scales, [rows // 128, 128, k // 4, 4]), [0, 2, 1, 3])  # as torchao's to_blocked
    parts = b.transpose(b.reshape(blocks, [rows * k // 512, 4, 32, 4]), [0, 2, 1, 3])
    return b.reshape(b.reshape(parts, [rows * k // 512, 32, 16]), [rows * k])
