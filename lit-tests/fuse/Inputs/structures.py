"""structures.py FIAR_OPT: how sequences lie in a module: values used again, two sequences that meet, helpers, meshes,
variadic and split all-reduces, regions ("print [WORLD]" prints the modules). Each function builds one module and gives what the fused ops must be."""
import sys

import forms
from builder import Builder, fuse

T, H = 24, 512
WORLD = int(sys.argv[2]) if len(sys.argv) > 2 else 4
cases = []


def case(*want, gone=(), kept=(), attributes="", **builder):
    """want: one (operands, results, extra attributes) for each fused op, in order."""
    def add(function):
        b = Builder(**{"world": WORLD, **builder})
        results = function(b)
        cases.append((function.__name__, b.module(*results, attributes=attributes), want, gone, kept))
    return add


def op(operands, results, **attributes):
    return operands.split(), results.split(), attributes


def x(b, shape=(T, H), elem="bf16"):
    return b.arg(shape, elem)


def norm_of(b, h, elem="bf16", form="before", w=None, **ways):
    f = b.convert(h, "f32") if h[2] != "f32" else h
    return forms.rms_norm(b, f, w or b.arg([H], elem), form, elem, 1e-6, **ways)


# ---- values used again ---------------------------------------------------------------------------

@case(op("x residual weight", "sum residual norm"))
def sum_residual_and_norm_used(b):
    s = b.all_reduce(x(b))
    h = b.ew("add", s, x(b))
    return [s, h, norm_of(b, h)]


@case(op("x residual weight scale", "norm quant", quant="fp8_static"))
def norm_beside_its_codes(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    return [norm, forms.fp8_static(b, norm, b.arg([], "f32"), False)]


@case(op("x residual weight scale", "norm quant", quant="fp8_static"), kept=["stablehlo.clamp"])
def two_quantisers_of_one_norm(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    return [forms.fp8_static(b, norm, b.arg([], "f32"), False, "clamp") for _ in range(2)]


@case(op("x residual weight scale", "quant", quant="fp8_static"), gone=["stablehlo.clamp"])
def one_quantiser_twice(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    scale = b.arg([], "f32")
    return [forms.fp8_static(b, norm, scale, False, "clamp") for _ in range(2)]


def dynamic_quantiser_twice(name, quantise, **attributes):
    """As two projections have it that quantise the same norm, each for itself."""
    def build(b):
        norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
        return [*quantise(b, norm), *quantise(b, norm)]
    build.__name__ = f"{name}_twice"
    case(op("x residual weight", "quant scales", quant=name, **attributes), gone=["stablehlo.abs", "stablehlo.divide"])(build)


dynamic_quantiser_twice("fp8_token", lambda b, norm: forms.fp8_dynamic(b, norm, floor=1e-12))
dynamic_quantiser_twice("fp8_group", lambda b, norm: forms.fp8_dynamic(b, norm, group=128))
dynamic_quantiser_twice("nvfp4", lambda b, norm: forms.nvfp4(b, norm, None, False))
dynamic_quantiser_twice("mxfp8", lambda b, norm: forms.mx(b, norm, "f8E4M3FN", "unbiased"))


@case(op("x residual weight", "norm quant scales", quant="fp8_token"), kept=["stablehlo.abs"])
def quantisers_of_two_floors(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    return [*forms.fp8_dynamic(b, norm, floor=1e-12), *forms.fp8_dynamic(b, norm, floor=1e-6)]


@case(op("x residual weight", "residual norm"), kept=["stablehlo.rsqrt"])
def reciprocal_root_used(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    f = b.convert(h, "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6)
    normed = b.convert(b.ew("multiply", f, b.broadcast(rows, [T, H], [0, 1])), "bf16")
    return [rows, b.ew("multiply", normed, forms.vector(b, b.arg([H], "bf16"), [T, H]))]


# ---- sequences that meet -------------------------------------------------------------------------

@case(op("x residual weight", "residual norm"), op("x residual weight", "residual norm"))
def a_stream_of_two_layers(b):
    h1 = b.ew("add", b.all_reduce(x(b)), x(b))
    h2 = b.ew("add", h1, b.all_reduce(norm_of(b, h1)))
    return [h2, norm_of(b, h2)]


@case(op("x residual weight", "norm"), kept=["stablehlo.all_reduce"])
def sum_of_two_all_reduces(b):
    first, second = b.all_reduce(x(b)), b.all_reduce(x(b))
    return [norm_of(b, b.ew("add", first, second))]


@case(op("x weight", "norm", weight_bias="1.000000e+00"), kept=["stablehlo.rsqrt"])
def gemma_sandwich(b):
    first = norm_of(b, b.all_reduce(x(b)), form="after_plus_one")
    h = b.ew("add", first, x(b))
    return [h, norm_of(b, h, form="after_plus_one")]


@case(op("x residual weight", "norm"))
def residual_computed_after_the_all_reduce(b):
    s = b.all_reduce(x(b))
    late = b.ew("multiply", x(b), x(b))
    return [norm_of(b, b.ew("add", s, late))]


@case(op("x residual weight", "residual norm"))
def weight_of_a_stack(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    row = b.op("stablehlo.dynamic_slice", [b.arg([8, H], "bf16"), b.arg([], "i32"), b.constant(0, "i32")], [1, H], "bf16",
               "<{slice_sizes = array<i64: 1, 512>}> ")
    norm = norm_of(b, h, w=b.reshape(row, [H]))
    return [h, norm]


# ---- spellings of the product --------------------------------------------------------------------

def einsum_product(b, w, normed, dims):
    rank = len(normed[1])
    product = b.op("stablehlo.dot_general", [w, normed], [H, *normed[1][:-1]], "bf16",
                   "<{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [0], rhs_batching_dimensions = "
                   f"[{rank - 1}]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}}> ")
    return b.transpose(product, dims)


@case(op("x residual weight", "norm", norm_rounding="before_weight"), gone=["stablehlo.dot_general"])
def einsum_weight(b):
    h = b.ew("add", b.all_reduce(x(b, (T, 1, H))), x(b, (T, 1, H)))
    f = b.convert(h, "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6)
    normed = b.convert(b.ew("multiply", f, b.broadcast(rows, f[1], [0, 1, 2])), "bf16")
    return [einsum_product(b, b.arg([H], "bf16"), normed, [1, 2, 0])]


@case(op("x residual", "norm"), kept=["stablehlo.dot_general"])
def einsum_weight_left_transposed(b):
    h = b.ew("add", b.all_reduce(x(b, (T, 1, H))), x(b, (T, 1, H)))
    f = b.convert(h, "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6)
    normed = b.convert(b.ew("multiply", f, b.broadcast(rows, f[1], [0, 1, 2])), "bf16")
    return [einsum_product(b, b.arg([H], "bf16"), normed, [0, 1, 2])]


@case(op("x residual weight", "residual norm"))
def reshapes_between(b):
    s = b.reshape(b.all_reduce(x(b)), [T, 1, H])
    h = b.ew("add", x(b, (T, 1, H)), s)
    w = b.reshape(b.reshape(b.arg([H], "bf16"), [1, 1, H]), [H])
    return [h, b.reshape(norm_of(b, h, w=w), [T, H])]


@case(op("x residual weight", "norm"))
def weight_of_rank_three(b):
    h = b.ew("add", b.all_reduce(x(b, (T, 1, H))), x(b, (T, 1, H)))
    return [norm_of(b, h, w=b.arg([1, 1, H], "bf16"))]


# 1 + w in bf16, then widened: f32(w) + 1 would round otherwise, so the sum is the weight.
@case(op("x residual weight", "norm", weight_bias="0.000000e+00", norm_rounding="after_weight"), kept=["stablehlo.add"])
def bias_rounded_to_bf16(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    w = b.arg([H], "bf16")
    return [norm_of(b, h, w=b.ew("add", w, b.splat(1.0, w)), form="after")]


@case(op("x residual weight", "norm"))
def f32_weight_rounded_first(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    return [norm_of(b, h, w=b.convert(b.arg([H], "f32"), "bf16"))]


# ---- other types -----------------------------------------------------------------------------------

@case(op("x residual weight", "residual norm"), gone=["stablehlo.all_reduce", "stablehlo.convert"])
def sum_of_widened_values(b):
    s = b.convert(b.all_reduce(b.convert(x(b), "f32")), "bf16")
    h = b.ew("add", s, x(b))
    return [h, norm_of(b, h)]


@case(op("x residual weight", "sum norm"), gone=["stablehlo.all_reduce"])
def sum_of_widened_f16(b):
    s = b.convert(b.all_reduce(b.convert(x(b, elem="f16"), "f32")), "f16")
    return [s, norm_of(b, b.ew("add", s, x(b, elem="f16")), "f16")]


# ---- helpers -------------------------------------------------------------------------------------

@case(op("x residual weight", "norm"), gone=["func.call", "@rms_norm"])
def norm_in_a_helper(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    return [b.call("rms_norm", [h, b.arg([H], "bf16")], h[1], "bf16", lambda i, a: norm_of(i, a[0], w=a[1]))]


@case(op("x residual weight", "norm"), gone=["func.call"])
def residual_and_norm_in_helpers(b):
    s = b.all_reduce(x(b))
    h = b.call("add", [s, x(b)], s[1], "bf16", lambda i, a: i.ew("add", a[1], a[0]))
    return [b.call("rms_norm", [h, b.arg([H], "bf16")], h[1], "bf16", lambda i, a: norm_of(i, a[0], w=a[1]))]


@case(op("x residual weight", "quant scales", quant="fp8_token"), gone=["func.call", "stablehlo.abs"])
def quantiser_in_a_helper(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    return b.calls("quantise", [norm], lambda i, a: forms.fp8_dynamic(i, a[0], floor=1e-12))


@case(op("x residual weight", "quant scales", quant="nvfp4"), gone=["func.call", "stablehlo.abs"])
def quantiser_in_nested_helpers(b):
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    inner = lambda i, a: forms.nvfp4(i, a[0], None, False)
    return b.calls("outer", [norm], lambda i, a: i.calls("inner", a, inner))


@case(op("x residual weight", "quant scales", quant="fp8_token"), gone=["func.call", "stablehlo.abs"])
def scale_floored_in_a_helper(b):
    """jnp.clip is a function of its own."""
    y = b.convert(norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b))), "f32")
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [1]), [T, 1], [0])
    step = b.ew("divide", amax, b.splat(448.0, amax))
    step = b.call("clip", [step], step[1], "f32", lambda i, a: i.ew("maximum", i.splat(1e-12, a[0]), a[0]))
    return [b.convert(b.ew("divide", y, b.broadcast(step, y[1], [0, 1])), "f8E4M3FN"), step]


@case(op("x residual weight", "quant scales", quant="fp8_token"), gone=["func.call", "stablehlo.abs"])
def scale_and_codes_in_helpers(b):
    """The scale leaves its helper without the dimension that its computation kept."""
    norm = norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))
    step = b.call("scale", [norm], [T], "f32", lambda i, a: i.reshape(forms.fp8_dynamic(i, a[0])[1], [T]))

    def divide(i, a):
        y = i.convert(a[0], "f32")
        return i.convert(i.ew("divide", y, i.broadcast(a[1], y[1], [0])), "f8E4M3FN")
    return [b.call("divide", [norm, step], [T, H], "f8E4M3FN", divide), step]


@case(op("x residual weight", "norm"), gone=["composite", "@rms"])
def composite_through_its_decomposition(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    w = b.arg([H], "bf16")
    b.call("rms", [h, w], h[1], "bf16", lambda i, a: norm_of(i, a[0], w=a[1], form="after"))
    b.lines.pop()
    return [b.op("stablehlo.composite", [h, w], h[1], "bf16", '<{name = "aten.rms_norm", decomposition = @rms_0}> ')]


@case(op("x residual weight", "norm"), kept=["func.func private @rms_norm_0"])
def helper_that_others_call(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    w = b.arg([H], "bf16")
    norm = b.call("rms_norm", [h, w], h[1], "bf16", lambda i, a: norm_of(i, a[0], w=a[1]))
    other = (b.name(), (T, H), "bf16")
    b.lines.append(f"{other[0]} = func.call @rms_norm_0({x(b)[0]}, {w[0]}) : (tensor<{T}x{H}xbf16>, tensor<{H}xbf16>) -> tensor<{T}x{H}xbf16>")
    return [norm, other]


@case(op("x residual weight", "norm"), kept=["func.func private @rms_norm_0"])
def helper_that_an_unknown_op_names(b):
    h = b.ew("add", b.all_reduce(x(b)), x(b))
    norm = b.call("rms_norm", [h, b.arg([H], "bf16")], h[1], "bf16", lambda i, a: norm_of(i, a[0], w=a[1]))
    b.lines.append('"stablehlo.custom_call"() <{call_target_name = "host", called_computations = [@rms_norm_0]}> : () -> ()')
    return [norm]


# ---- groups --------------------------------------------------------------------------------------

def mesh(axis, ids="", then=None):
    refs = ", ".join(f'#stablehlo.axis_ref<name = "{n}">' for n in [axis] + ([then] if then else []))
    axes = ", ".join(f'#stablehlo.mesh_axis<name = "{n}", size = {s}>' for n, s in (("a", 2), ("b", 4)))
    return f'#stablehlo.replica_group_mesh_axes<mesh = #stablehlo.mesh<axes = [{axes}]{ids}>, axes = [{refs}]>'


@case(op("x residual weight", "norm", world="2"), groups=mesh("a"))
def outer_axis_of_a_mesh(b):
    return [norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))]


@case(op("x residual weight", "norm", world="4"), groups=mesh("b"))
def inner_axis_of_a_mesh(b):
    return [norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))]


@case(op("x residual weight", "norm", world="8"), groups=mesh("a", then="b"))
def both_axes_of_a_mesh(b):
    return [norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))]


@case(op("x residual weight", "norm", world="8"), groups=mesh("b", then="a"))
def both_axes_the_inner_first(b):
    return [norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))]


@case(op("x residual weight", "norm", world="2"), groups="dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>")
def several_groups(b):
    return [norm_of(b, b.ew("add", b.all_reduce(x(b)), x(b)))]


@case(op("x residual weight", "norm", world="8", group_mode="cross_replica"),
      attributes="attributes {mhlo.num_replicas = 8 : i32, mhlo.num_partitions = 1 : i32} ")
def no_groups_are_all_replicas(b):
    s = b.all_reduce(x(b), attributes="replica_groups = dense<> : tensor<0x0xi64>")
    return [norm_of(b, b.ew("add", s, x(b)))]


@case(op("x residual weight", "norm", world="8", group_mode="cross_replica_and_partition"),
      attributes="attributes {mhlo.num_replicas = 2 : i32, mhlo.num_partitions = 4 : i32} ")
def replicas_and_partitions(b):
    s = b.all_reduce(x(b), attributes="channel_handle = #stablehlo.channel_handle<handle = 3, type = 1>, "
                     "replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>")
    return [norm_of(b, b.ew("add", s, x(b)))]


# ---- other all-reduces ---------------------------------------------------------------------------

def variadic(b, inputs):
    outs = [(b.name(), v[1], v[2]) for v in inputs]
    base = b.name()
    types = ", ".join(map(b.type, inputs))
    b.lines.append(
        f'{base}:{len(inputs)} = "stablehlo.all_reduce"({", ".join(v[0] for v in inputs)}) <{{replica_groups = {b.groups}}}> ({{\n'
        "    ^bb0(%x: tensor<bf16>, %y: tensor<bf16>):\n"
        '      %r = "stablehlo.add"(%x, %y) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>\n'
        f'      "stablehlo.return"(%r) : (tensor<bf16>) -> ()\n    }}) : ({types}) -> ({types})')
    return [(f"{base}#{i}", v[1], v[2]) for i, v in enumerate(outs)]


@case(op("x weight", "norm"), op("x residual weight", "norm"), gone=["stablehlo.all_reduce"])
def variadic_whole(b):
    first, second = variadic(b, [x(b), x(b)])
    return [norm_of(b, b.ew("add", first, x(b))), norm_of(b, second)]


@case(op("x residual weight", "norm"), kept=['"stablehlo.all_reduce"(%arg1)'], gone=["stablehlo.rsqrt"])
def variadic_in_part(b):
    first, second = variadic(b, [x(b), x(b)])
    return [norm_of(b, b.ew("add", first, x(b))), second]


@case(op("x residual weight", "sum norm"), kept=['"stablehlo.all_reduce"(%arg1)'])
def variadic_in_part_with_its_sum(b):
    first, second = variadic(b, [x(b), x(b)])
    return [norm_of(b, b.ew("add", first, x(b))), first, second]


@case(op("x residual weight", "norm"), kept=['"stablehlo.all_reduce"(%arg0, %arg2)'])
def variadic_middle(b):
    first, second, third = variadic(b, [x(b), x(b), x(b)])
    return [first, norm_of(b, b.ew("add", second, x(b))), third]


@case(op("x residual weight", "norm"), kept=['"stablehlo.all_reduce"(%arg1)'])
def variadic_with_a_scalar(b):
    """torch_xla sends a scalar along, which orders the all-reduces."""
    first, token = variadic(b, [x(b), b.arg([], "bf16")])
    return [norm_of(b, b.ew("add", first, x(b))), token]


def scatter(b, value, reducer="add", dim=0):
    elem = value[2]
    part = (b.name(), [n // (b.world if i == dim else 1) for i, n in enumerate(value[1])], value[2])
    b.lines.append(
        f'{part[0]} = "stablehlo.reduce_scatter"({value[0]}) <{{replica_groups = {b.groups}, scatter_dimension = {dim} : i64}}> ({{\n'
        f"    ^bb0(%x: tensor<{elem}>, %y: tensor<{elem}>):\n"
        f'      %r = "stablehlo.{reducer}"(%x, %y) : (tensor<{elem}>, tensor<{elem}>) -> tensor<{elem}>\n'
        f'      "stablehlo.return"(%r) : (tensor<{elem}>) -> ()\n    }}) : ({b.type(value)}) -> {b.type(part)}')
    return part


def gather(b, part, dim=0, groups=None):
    whole = list(part[1])
    whole[dim] *= b.world
    return b.op("stablehlo.all_gather", [part], whole, part[2],
                f"<{{all_gather_dim = {dim} : i64, replica_groups = {groups or b.groups}}}> ")


@case(op("x residual weight", "norm"), gone=["reduce_scatter", "all_gather"])
def reduce_scatter_then_all_gather(b):
    return [norm_of(b, b.ew("add", gather(b, scatter(b, x(b))), x(b)))]


@case(kept=["reduce_scatter", "all_gather", "stablehlo.rsqrt"], world=2, groups="dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>")
def gather_from_other_groups(b):
    return [norm_of(b, gather(b, scatter(b, x(b)), groups="dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>"))]


@case(kept=["reduce_scatter", "all_gather", "stablehlo.rsqrt"])
def scatter_of_a_maximum(b):
    return [norm_of(b, gather(b, scatter(b, x(b), "maximum")))]


# ---- sums scattered by rows ----------------------------------------------------------------------

def rows(operands, results, **attributes):
    return op(operands, results, residual_layout="token_block", **attributes)


def part(b, shape=(T, H), dim=0):
    return [n // (b.world if i == dim else 1) for i, n in enumerate(shape)]


def scattered(b, shape=(T, H), dim=0):
    """A rank's rows of the sum with those of the residual."""
    return b.ew("add", scatter(b, x(b, shape), dim=dim), x(b, part(b, shape, dim)))


def rows_norm(b, h, same=True):
    return norm_of(b, h, w=b.arg([H], "bf16", same))


GONE = ["reduce_scatter", "all_gather", "stablehlo.rsqrt"]


@case(rows("x residual weight", "residual norm"), gone=GONE)
def norm_between_scatter_and_gather(b):
    h = scattered(b)
    return [h, gather(b, rows_norm(b, h))]


@case(rows("x weight", "residual norm"), gone=GONE)
def scattered_sum_without_residual(b):
    h = scatter(b, x(b))
    return [h, gather(b, rows_norm(b, h))]


@case(rows("x residual weight scale", "quant", quant="fp8_static"), gone=GONE)
def codes_gathered(b):
    return [gather(b, forms.fp8_static(b, rows_norm(b, scattered(b)), b.arg([], "f32", same=True), False))]


def dynamic_codes_gathered(name, quantise, **attributes):
    def before(b):
        return [gather(b, part) for part in quantise(b, rows_norm(b, scattered(b)))]

    def behind(b):
        return quantise(b, gather(b, rows_norm(b, scattered(b))))

    for where, build in ("before", before), ("behind", behind):
        build.__name__ = f"{name}_{where}_the_gather"
        case(rows("x residual weight", "quant scales", quant=name, **attributes), gone=[*GONE, "stablehlo.abs"])(build)


dynamic_codes_gathered("fp8_token", lambda b, norm: forms.fp8_dynamic(b, norm, floor=1e-12))
dynamic_codes_gathered("fp8_group", lambda b, norm: forms.fp8_dynamic(b, norm, group=128))
dynamic_codes_gathered("nvfp4", lambda b, norm: forms.nvfp4(b, norm, None, False))
dynamic_codes_gathered("mxfp8", lambda b, norm: forms.mx(b, norm, "f8E4M3FN", "unbiased"))


@case(rows("x residual weight scale", "quant", quant="fp8_static"), gone=GONE)
def scale_behind_the_gather(b):
    return [forms.fp8_static(b, gather(b, rows_norm(b, scattered(b))), b.arg([], "f32", same=True), False)]


@case(rows("x residual weight", "norm", quant="none"), gone=GONE, kept=["stablehlo.divide"])
def scale_of_each_rank(b):
    """Each has its own, for all that is known."""
    return [forms.fp8_static(b, gather(b, rows_norm(b, scattered(b))), b.arg([], "f32"), False)]


@case(kept=GONE)
def weight_of_each_rank(b):
    return [gather(b, rows_norm(b, scattered(b), same=False))]


def weight_behind_the_gather(b, same):
    f = b.convert(scattered(b), "f32")
    statistics, _ = forms.rms_statistics(b, f, 1e-6)
    normed = b.convert(b.ew("multiply", f, b.broadcast(statistics, f[1], [0, 1])), "bf16")
    return [b.ew("multiply", gather(b, normed), forms.vector(b, b.arg([H], "bf16", same), [T, H]))]


@case(rows("x residual weight", "norm"), gone=GONE)
def same_weight_behind_the_gather(b):
    return weight_behind_the_gather(b, True)


@case(rows("x residual", "norm"), gone=GONE)
def own_weight_behind_the_gather(b):
    """Which stays there."""
    return weight_behind_the_gather(b, False)


@case(rows("x residual weight", "norm"), gone=GONE)
def scattered_in_f32(b):
    """The rows are rounded once, as of an all-reduce."""
    s = b.convert(scatter(b, b.convert(x(b), "f32")), "bf16")
    return [gather(b, rows_norm(b, b.ew("add", s, x(b, part(b)))))]


@case(kept=GONE)
def rows_transposed_before_the_gather(b):
    h = scattered(b, (T, 4, 2, H))
    norm = rows_norm(b, h)
    return [gather(b, b.transpose(norm, [0, 2, 1, 3]))]


@case(rows("x residual weight", "residual norm"), gone=["reduce_scatter", "call @"])
def norm_and_gather_in_a_helper(b):
    h, w = scattered(b), b.arg([H], "bf16", same=True)
    return [h, b.call("whole", [h, w], (T, H), "bf16", 
                      lambda inner, of: gather(inner, norm_of(inner, of[0], w=of[1])))]


@case(rows("x residual weight", "residual norm"), kept=["stablehlo.rsqrt"])
def a_rank_uses_its_own_norm(b):
    """Which it computes of its rows once more."""
    norm = rows_norm(b, scattered(b))
    return [norm, gather(b, norm)]


@case(kept=GONE)
def scattered_sum_used(b):
    s = scatter(b, x(b))
    return [s, gather(b, rows_norm(b, b.ew("add", s, x(b, part(b)))))]


@case(kept=["reduce_scatter", "stablehlo.rsqrt"])
def norm_not_gathered(b):
    return [rows_norm(b, scattered(b))]


@case(kept=GONE, world=2, groups="dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>")
def norm_gathered_from_other_groups(b):
    return [gather(b, rows_norm(b, scattered(b)), groups="dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>")]


@case(kept=GONE)
def norm_gathered_along_another_dimension(b):
    return [gather(b, rows_norm(b, scattered(b)), 1)]


@case(rows("x residual weight", "residual norm"), gone=GONE)
def rows_of_two_dimensions(b):
    h = scattered(b, (T, 3, H))
    return [h, gather(b, rows_norm(b, h))]


@case(rows("x residual weight", "norm"), gone=GONE)
def rows_behind_a_batch_of_one(b):
    return [gather(b, rows_norm(b, scattered(b, (1, T, H), 1)), 1)]


@case(kept=GONE)
def rows_behind_a_batch(b):
    """No rank's rows are one block."""
    return [gather(b, rows_norm(b, scattered(b, (2, T, H), 1)), 1)]


@case(rows("x residual weight", "residual norm"), rows("x residual weight", "residual norm"), gone=GONE)
def scattered_stream_of_two_layers(b):
    h1 = scattered(b)
    h2 = b.ew("add", scatter(b, gather(b, rows_norm(b, h1))), h1)
    return [h2, gather(b, rows_norm(b, h2))]


@case(kept=["reduce_scatter", "all_gather"])
def gather_along_another_dimension(b):
    return [gather(b, scatter(b, x(b, (b.world, H))), 1)]


@case(op("x residual weight", "sum norm"))
def nested_region_uses_the_sum(b):
    s = b.all_reduce(x(b))
    h = b.ew("add", s, x(b))
    norm = norm_of(b, h)
    out = (b.name(), (T, H), "bf16")
    b.lines.append(
        f'{out[0]} = "stablehlo.if"({b.arg([], "i1")[0]}) ({{\n      "stablehlo.return"({s[0]}) : ({b.type(s)}) -> ()\n'
        f'    }}, {{\n      "stablehlo.return"({norm[0]}) : ({b.type(s)}) -> ()\n    }}) : (tensor<i1>) -> {b.type(s)}')
    return [out]


if sys.argv[1] == "print":
    print("\n// -----\n".join(module for _, module, *_ in cases))
    sys.exit()
bad = 0
for (name, module, want, gone, kept), (fused, report, text) in zip(cases, fuse(sys.argv[1], [m for _, m, *_ in cases])):
    why = []
    if len(fused) != len(want):
        why.append(f"{len(fused)} fused, want {len(want)}")
    for got, (operands, results, attributes) in zip(fused, want):
        why += [f"operands {got['operands']}"] if got["operands"] != operands else []
        why += [f"results {got['results']}"] if got["results"] != results else []
        why += [f"{k} is {got.get(k)}" for k, v in attributes.items() if got.get(k) != v]
    why += [f"{g} is left" for g in gone if g in text] + [f"{k} is gone" for k in kept if k not in text]
    if why:
        bad += 1
        print(f"{name}: {'; '.join(why)}\n  {report['all_reduces']}")
print(f"{len(cases) - bad} of {len(cases)} structures fuse as wanted")
sys.exit(bad != 0)
