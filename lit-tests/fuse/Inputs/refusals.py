"""refusals.py FIAR_OPT: every decoy and every form that cannot be said is left as it is, with its reason; where only
the quantiser cannot be said, the norm fuses without it, and without a word where there is none ("print" prints the modules). Each function builds one module and names the reason."""
import subprocess
import sys

import forms
from builder import Builder, fuse

T, H = 16, 512
cases = []


def case(reason, quantiser=False, attributes="", **builder):
    def add(function):
        b = Builder(**builder)
        results = function(b)
        cases.append((function.__name__, b.module(*results, attributes=attributes), reason, quantiser))
    return add


def start(b, elem="bf16", shape=(T, H), residual=True):
    s = b.all_reduce(b.arg(shape, elem))
    return b.ew("add", s, b.arg(shape, elem)) if residual else s


def norm_of(b, h, elem="bf16", form="before", **ways):
    f = b.convert(h, "f32") if h[2] != "f32" else h
    w = b.arg([h[1][-1]], elem)
    return forms.rms_norm(b, f, w, form, elem, 1e-6, **ways)


# ---- the all-reduce ------------------------------------------------------------------------------

@case("its reducer is no sum but maximum")
def maximum_reducer(b):
    return [norm_of(b, b.all_reduce(b.arg([T, H], "bf16"), kind="maximum"))]


@case("its groups have one rank each", groups="dense<0> : tensor<1x1xi64>")
def group_of_one(b):
    return [norm_of(b, start(b))]


@case("the replica groups are of unequal size", groups="dense<[[0, 1, 2], [3, 4, -1]]> : tensor<2x3xi64>")
def unequal_groups(b):
    return [norm_of(b, start(b))]


@case("is split into sub-axes", groups="#stablehlo.replica_group_mesh_axes<mesh = #stablehlo.mesh<axes = [#stablehlo."
      "mesh_axis<name = \"y\", size = 4>]>, axes = [#stablehlo.axis_ref<name = \"y\", sub_axis_info = (1)2>]>")
def sub_axes(b):
    return [norm_of(b, start(b))]


@case("the mesh @nowhere of the replica groups is not in the module",
      groups="#stablehlo.replica_group_mesh_axes<mesh = @nowhere, axes = [#stablehlo.axis_ref<name = \"y\">]>")
def unknown_mesh(b):
    return [norm_of(b, start(b))]


@case("its elements are not f16, bf16 or f32")
def integer_sum(b):
    return [b.all_reduce(b.arg([T, H], "i32"))]


@case("no RMSNorm follows: the all-reduced sum (with the residual) goes into func.return")
def no_norm(b):
    return [start(b)]


@case("its result is not used")
def unused(b):
    b.all_reduce(b.arg([T, H], "bf16"))
    return [b.arg([T, H], "bf16")]


@case("the sum is converted from f32 to bf16 before the norm")
def sum_in_another_type(b):
    return [norm_of(b, b.convert(start(b, "f32", residual=False), "bf16"))]


@case("the sum is converted from f32 to bf16 before the norm")
def widened_sum_used_wide(b):
    s = b.all_reduce(b.convert(b.arg([T, H], "bf16"), "f32"))
    return [s, norm_of(b, b.convert(s, "bf16"))]


@case("the sum is converted from f32 to bf16 before the norm")
def widened_from_another_type(b):
    return [norm_of(b, b.convert(b.all_reduce(b.convert(b.arg([T, H], "f16"), "f32")), "bf16"))]


# ---- residual ------------------------------------------------------------------------------------

@case("a bias is added to the sum before the norm")
def bias_between(b):
    s = start(b, residual=False)
    h = b.ew("add", s, forms.vector(b, b.arg([H], "bf16"), [T, H]))
    return [norm_of(b, b.ew("add", h, b.arg([T, H], "bf16")))]


@case("a bias is added to the sum before the norm")
def bias_after_the_residual(b):
    return [norm_of(b, b.ew("add", start(b), forms.vector(b, b.arg([H], "bf16"), [T, H])))]


@case("what is added to the sum is broadcast or transposed, so it is no residual")
def broadcast_residual(b):
    row = b.broadcast(b.arg([T], "bf16"), [T, H], [0])
    return [norm_of(b, b.ew("add", start(b, residual=False), row))]


@case("the residual is not bf16, as the all-reduce is")
def f32_residual(b):
    f = b.convert(start(b, residual=False), "f32")
    return [norm_of(b, b.ew("add", f, b.arg([T, H], "f32")))]


# ---- norm ----------------------------------------------------------------------------------------

@case("the mean is subtracted: this is a LayerNorm")
def layer_norm(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", f, [1]), [T, 1], [0])
    centred = b.ew("subtract", f, b.broadcast(forms.mean(b, sums, H, "divide"), [T, H], [0, 1]))
    return [norm_of(b, centred)]


@case("the mean is subtracted: this is a LayerNorm")
def layer_norm_with_outlined_variance(b):
    f = b.convert(start(b), "f32")

    def variance(inner, a):
        sums = inner.broadcast(inner.reduce("add", a[0], [1]), [T, 1], [0])
        centred = inner.ew("subtract", a[0], inner.broadcast(forms.mean(inner, sums, H, "divide"), [T, H], [0, 1]))
        squares = inner.reduce("add", inner.ew("multiply", centred, centred), [1])
        return forms.mean(inner, inner.broadcast(squares, [T, 1], [0]), H, "divide")

    var = b.call("_var", [f], [T, 1], "f32", variance)
    root = b.ew("rsqrt", b.ew("add", var, b.splat(1e-6, var)))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("the norm is over 128 of the 512 hidden elements")
def head_norm(b):
    heads = b.reshape(start(b), [T, 4, 128])
    return [norm_of(b, heads)]


@case("this is an L2 norm")
def l2_norm(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", b.ew("multiply", f, f), [1]), [T, 1], [0])
    root = b.ew("rsqrt", b.ew("add", sums, b.splat(1e-6, sums)))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("the norm is not over the last dimension of the all-reduce")
def hidden_major(b):
    f = b.convert(start(b, shape=(H, 4)), "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6, dims=[0], count=H)
    return [b.convert(b.ew("multiply", f, b.broadcast(rows, [H, 4], [1])), "bf16")]


@case("the norm is not over the last dimension of the all-reduce")
def square_matrix_wrong_axis(b):
    f = b.convert(start(b, shape=(H, H)), "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6, dims=[0], count=H)
    return [b.convert(b.ew("multiply", f, b.broadcast(rows, [H, H], [1])), "bf16")]


@case("no RMSNorm follows: the reciprocal root goes into stablehlo.multiply")
def square_matrix_wrong_broadcast(b):
    f = b.convert(start(b, shape=(H, H)), "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6, keep_late=True)
    return [b.convert(b.ew("multiply", f, b.broadcast(rows, [H, H], [1])), "bf16")]


@case("the sum of squares is divided by 511, not by the 512 hidden elements")
def wrong_count(b):
    return [norm_of(b, start(b), count=511)]


@case("the sum of squares is multiplied by")
def wrong_reciprocal_count(b):
    return [norm_of(b, start(b), count=513, averaged="multiply")]


@case("the norm is over more dimensions than the last")
def two_dimensions(b):
    f = b.convert(start(b, shape=(2, T, H)), "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6, dims=[1, 2], count=T * H)
    return [b.convert(b.ew("multiply", f, b.broadcast(rows, [2, T, H], [0])), "bf16")]


@case("eps enters as a maximum, not as a sum")
def maximum_eps(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", b.ew("multiply", f, f), [1]), [T, 1], [0])
    means = forms.mean(b, sums, H, "divide")
    root = b.ew("rsqrt", b.ew("maximum", means, b.splat(1e-6, means)))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("eps is not a constant")
def eps_argument(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", b.ew("multiply", f, f), [1]), [T, 1], [0])
    means = forms.mean(b, sums, H, "divide")
    root = b.ew("rsqrt", b.ew("add", means, b.broadcast(b.arg([], "f32"), [T, 1], [])))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("the norm is computed in bf16, not in f32")
def norm_in_bf16(b):
    h = start(b)
    rows, _ = forms.rms_statistics(b, h, 1e-6)
    return [b.ew("multiply", h, b.broadcast(rows, [T, H], [0, 1]))]


@case("the norm is rounded to bf16 on its way")
def root_rounded(b):
    f = b.convert(start(b), "f32")
    rows, _ = forms.rms_statistics(b, f, 1e-6)
    rounded = b.convert(b.convert(rows, "bf16"), "f32")
    return [b.convert(b.ew("multiply", f, b.broadcast(rounded, [T, H], [0, 1])), "bf16")]


@case("no RMSNorm follows")
def constant_subtracted(b):
    f = b.convert(start(b), "f32")
    return [norm_of(b, b.ew("subtract", f, b.splat(1.0, f)))]


@case("no RMSNorm follows: the all-reduced sum (with the residual) goes into stablehlo.sine")
def stream_goes_on(b):
    """The next residual and a test are no part of the norm that is not found."""
    h = start(b)
    odd = b.ew("sine", b.convert(h, "f32"))
    test = forms.compare(b, h, "NE", h)
    return [b.ew("add", h, norm_of(b, odd)), test]


@case("no RMSNorm follows: the all-reduced sum goes into stablehlo.clamp")
def op_within_a_call(b):
    h = start(b, residual=False)
    clipped = b.call("clip", [h], [T, H], "bf16", lambda inner, a: inner.op(
        "stablehlo.clamp", [inner.constant(-9.0, "bf16"), a[0], inner.constant(9.0, "bf16")], [T, H], "bf16"))
    return [norm_of(b, b.ew("add", clipped, b.arg([T, H], "bf16")))]


@case("no RMSNorm follows: the square goes into stablehlo.reduce")
def sum_from_one(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", b.ew("multiply", f, f), [1], init=1.0), [T, 1], [0])
    means = forms.mean(b, sums, H, "divide")
    root = b.ew("rsqrt", b.ew("add", means, b.splat(1e-6, means)))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("the norm stays in f32: it is not rounded to bf16, as the all-reduce is")
def norm_stays_wide(b):
    f = b.convert(start(b), "f32")
    return [forms.rms_norm(b, f, b.arg([H], "f32"), "after", "f32", 1e-6)]


@case("the norm is not rounded to bf16, as the all-reduce is, before it goes into stablehlo.multiply")
def norm_scaled_while_wide(b):
    f = b.convert(start(b), "f32")
    norm = forms.rms_norm(b, f, b.arg([H], "f32"), "after", "f32", 1e-6)
    return [b.convert(b.ew("multiply", norm, b.splat(0.5, norm)), "bf16")]


@case("the sum of squares is a product whose precision is not HIGHEST, which may round what it multiplies")
def squares_of_f16_by_a_product(b):
    return [norm_of(b, start(b, "f16"), "f16", squared="DEFAULT")]


@case("the sum of squares is a product whose precision is not HIGHEST, which may round what it multiplies")
def squares_of_an_unrounded_sum_by_a_product(b):
    h = b.ew("add", b.convert(start(b, residual=False), "f32"), b.convert(b.arg([T, H], "bf16"), "f32"))
    return [norm_of(b, h, squared="DEFAULT")]


@case("the norm is computed in bf16, not in f32")
def squares_summed_in_bf16_by_a_product(b):
    h = start(b)
    sums = b.convert(forms.row_products(b, h, h, "HIGHEST", "bf16"), "f32")
    means = forms.mean(b, b.broadcast(sums, [T, 1], [0]), H, "divide")
    root = b.ew("rsqrt", b.ew("add", means, b.splat(1e-6, means)))
    return [b.convert(b.ew("multiply", b.convert(h, "f32"), b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("no RMSNorm follows: the all-reduced sum (with the residual) goes into stablehlo.dot_general")
def products_with_another_tensor(b):
    h = b.convert(start(b), "f32")
    sums = b.broadcast(forms.row_products(b, h, b.arg([T, H], "f32"), "HIGHEST"), [T, 1], [0])
    means = forms.mean(b, sums, H, "divide")
    root = b.ew("rsqrt", b.ew("add", means, b.splat(1e-6, means)))
    return [b.convert(b.ew("multiply", h, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("the sum of squares is all-reduced itself: the hidden dimension is sharded")
def hidden_sharded(b):
    f = b.convert(start(b), "f32")
    sums = b.broadcast(b.reduce("add", b.ew("multiply", f, f), [1]), [T, 1], [0])
    means = forms.mean(b, b.all_reduce(sums), 2 * H, "divide")
    root = b.ew("rsqrt", b.ew("add", means, b.splat(1e-6, means)))
    return [b.convert(b.ew("multiply", f, b.broadcast(root, [T, H], [0, 1])), "bf16")]


@case("an op that may have effects stands between the all-reduce and the norm's operands")
def effect_between(b):
    s = start(b, residual=False)
    b.lines.append('"stablehlo.custom_call"() <{call_target_name = "log", has_side_effect = true}> : () -> ()')
    late = b.op("stablehlo.dot_general", [b.arg([T, 8], "bf16"), b.arg([8, H], "bf16")], [T, H], "bf16",
                "<{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> ")
    return [norm_of(b, b.ew("add", s, late))]


@case("an op that may have effects stands between the all-reduce and the norm's operands")
def effect_behind_widening(b):
    """What it may write over is read before it."""
    wide = b.convert(b.arg([T, H], "bf16"), "f32")
    b.lines.append('"stablehlo.custom_call"() <{call_target_name = "log", has_side_effect = true}> : () -> ()')
    return [norm_of(b, b.convert(b.all_reduce(wide), "bf16"))]


@case("the sum or the residual is used before an operand of the fused op is defined")
def operand_depends_on_sum(b):
    s = start(b, residual=False)
    return [norm_of(b, b.ew("add", s, b.ew("tanh", s)))]


# ---- quantisers: the norm fuses, its quantiser stays ---------------------------------------------

def fp8(b, **ways):
    return [forms.fp8_static(b, norm_of(b, start(b)), b.arg([], "f32"), False, **ways)]


@case("fp8 without a clamp to +-448", quantiser=True)
def fp8_without_clamp(b):
    return fp8(b, clamped="none")


@case("the codes are clamped to other bounds than +-448 (240)", quantiser=True)
def fp8_other_bound(b):
    return fp8(b, bound=240.0)


@case("the quantiser converts from f32 to f8E4M3FNUZ, which cannot be said here", quantiser=True)
def fp8_e4m3fnuz(b):
    return fp8(b, to="f8E4M3FNUZ", bound=240.0)


@case("the quantiser converts from f32 to f8E5M2, which cannot be said here", quantiser=True)
def fp8_e5m2(b):
    return fp8(b, to="f8E5M2", bound=57344.0)


@case("the quantiser converts from f32 to f8E4M3, which cannot be said here", quantiser=True)
def fp8_ieee(b):
    return fp8(b, to="f8E4M3", bound=240.0)


@case("the quantiser converts from f32 to i8, which cannot be said here", quantiser=True)
def int8(b):
    return fp8(b, to="i8", bound=127.0)


@case("no known quantiser follows: the scaled norm goes into stablehlo.round_nearest_even", quantiser=True)
def int8_rounded(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    scaled = b.ew("round_nearest_even", b.ew("divide", y, b.broadcast(b.arg([], "f32"), [T, H], [])))
    return [b.convert(forms.clamp(b, scaled, 127.0, "clamp"), "i8")]


@case("the quantiser's scale is neither a scalar nor computed from the norm's magnitudes", quantiser=True)
def fp8_scale_a_channel(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    scaled = b.ew("divide", y, forms.vector(b, b.arg([H], "f32"), [T, H]))
    return [b.convert(forms.clamp(b, scaled, 448.0, "clamp"), "f8E4M3FN")]


@case("no known quantiser follows: the scaled norm goes into stablehlo.compare", quantiser=True)
def fp8_without_nans(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    scaled = b.ew("divide", y, b.broadcast(b.arg([], "f32"), [T, H], []))
    clamped = forms.clamp(b, scaled, 448.0, "clamp")
    test = forms.compare(b, clamped, "NE", clamped)
    return [b.convert(b.op("stablehlo.select", [test, b.splat(0.0, clamped), clamped], [T, H], "f32"), "f8E4M3FN")]


@case("the quantiser selects values by another test", quantiser=True)
def fp8_clamped_by_selects(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    scaled = b.ew("divide", y, b.broadcast(b.arg([], "f32"), [T, H], []))
    for bound, direction in (448.0, "GT"), (-448.0, "LT"):
        test = forms.compare(b, scaled, direction, b.splat(bound, scaled))
        scaled = b.op("stablehlo.select", [test, b.splat(bound, scaled), scaled], [T, H], "f32")
    return [b.convert(scaled, "f8E4M3FN")]


@case("the quantiser's scale is no f32 scalar before it is broadcast", quantiser=True)
def fp8_reciprocal_after_broadcast(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    scale = b.broadcast(b.arg([], "f32"), [T, H], [])
    return [b.convert(forms.clamp(b, b.ew("multiply", y, b.ew("divide", b.splat(1.0, scale), scale)), 448.0, "clamp"),
                      "f8E4M3FN")]


@case("the quantiser computes not in f32 but in bf16", quantiser=True)
def fp8_in_bf16(b):
    norm = norm_of(b, start(b))
    scaled = b.ew("divide", norm, b.broadcast(b.arg([], "bf16"), [T, H], []))
    return [b.convert(b.ew("minimum", b.ew("maximum", scaled, b.splat(-448.0, scaled)), b.splat(448.0, scaled)), "f8E4M3FN")]


@case("the scale is amax times a constant, which rounds unlike amax / 448", quantiser=True)
def fp8_token_times_reciprocal(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [1]), [T, 1], [0])
    step = b.ew("multiply", amax, b.splat(1.0 / 448, amax))
    return [b.convert(b.ew("divide", y, b.broadcast(step, [T, H], [0, 1])), "f8E4M3FN"), step]


def fp8_token(b, change, divides=True):
    """One f32 scale a token, which `change` computes from amax."""
    y = b.convert(norm_of(b, start(b)), "f32")
    scale = change(b.broadcast(b.reduce("maximum", b.ew("abs", y), [1]), [T, 1], [0]))
    return [b.convert(b.ew("divide" if divides else "multiply", y, b.broadcast(scale, [T, H], [0, 1])), "f8E4M3FN"), scale]


@case("no known quantiser follows: the largest magnitude goes into stablehlo.compare", quantiser=True)
def fp8_token_where_not_zero(b):
    return fp8_token(b, lambda amax: b.op("stablehlo.select", [
        forms.compare(b, amax, "EQ", b.splat(0.0, amax)), b.splat(1.0, amax), amax], amax[1], "f32"))


@case("no known quantiser follows: amax over the range of the codes goes into stablehlo.select", quantiser=True)
def fp8_token_where_not_zero_divided(b):
    return fp8_token(b, lambda amax: b.op("stablehlo.select", [
        forms.compare(b, amax, "EQ", b.splat(0.0, amax)), b.splat(1.0, amax), b.ew("divide", amax, b.splat(448.0, amax))],
        amax[1], "f32"))


@case("the scale is a number over amax, which rounds unlike amax / 448", quantiser=True)
def fp8_token_range_over_amax(b):
    return fp8_token(b, lambda amax: b.ew("divide", b.splat(448.0, amax), amax), divides=False)


@case("a constant is added to the scale or to amax: a floor is a maximum", quantiser=True)
def fp8_token_plus_eps(b):
    return fp8_token(b, lambda amax: b.ew("divide", b.ew("add", amax, b.splat(1e-6, amax)), b.splat(448.0, amax)))


@case("no known quantiser follows: amax over the range of the codes goes into stablehlo.all_reduce", quantiser=True)
def fp8_token_of_all_ranks(b):
    return fp8_token(b, lambda amax: b.all_reduce(b.ew("divide", amax, b.splat(448.0, amax)), kind="maximum"))


@case("the quantiser's scale is neither a scalar nor computed from the norm's magnitudes", quantiser=True)
def fp8_token_of_both_ends(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    ends = b.reduce("maximum", y, [1]), b.ew("negate", b.reduce("minimum", y, [1], init=1e30))
    amax = b.broadcast(b.ew("maximum", *ends), [T, 1], [0])
    scale = b.ew("divide", amax, b.splat(448.0, amax))
    return [b.convert(b.ew("divide", y, b.broadcast(scale, [T, H], [0, 1])), "f8E4M3FN"), scale]


@case("no known quantiser follows: amax over the range of the codes goes into stablehlo.reshape", quantiser=True)
def fp8_group_tiled(b):
    """The scales side by side, again and again, not each along its block."""
    y = b.convert(norm_of(b, start(b)), "f32")
    amax = b.reduce("maximum", b.ew("abs", b.reshape(y, [T, 4, 128])), [2])
    step = b.ew("divide", amax, b.splat(448.0, amax))
    tiled = b.reshape(b.broadcast(step, [T, 128, 4], [0, 2]), [T, H])
    return [b.convert(forms.clamp(b, b.ew("divide", y, tiled), 448.0, "clamp"), "f8E4M3FN"), step]


@case("the quantiser reads the norm as bf16", quantiser=True)
def fp8_of_a_cast_norm(b):
    norm = norm_of(b, start(b, "f32"), "f32")
    y = b.convert(b.convert(norm, "bf16"), "f32")
    scaled = b.ew("divide", y, b.broadcast(b.arg([], "f32"), [T, H], []))
    return [norm, b.convert(forms.clamp(b, scaled, 448.0, "clamp"), "f8E4M3FN")]


# ---- no quantisers -------------------------------------------------------------------------------

@case(None, quantiser=True)
def only_a_cast(b):
    norm = norm_of(b, start(b, "f32"), "f32")
    return [norm, b.convert(norm, "bf16")]


@case(None, quantiser=True)
def only_factors_and_bounds(b):
    norm = norm_of(b, start(b))
    scaled = b.ew("multiply", norm, b.splat(0.5, norm))
    wide = b.convert(norm, "f32")
    clipped = b.ew("minimum", b.ew("maximum", norm, b.splat(-9.0, norm)), b.splat(9.0, norm))
    return [b.ew("tanh", scaled), b.convert(b.ew("multiply", wide, b.splat(0.5, wide)), "bf16"), b.ew("exponential", wide), clipped]


@case("the quantiser divides amax by 127", quantiser=True)
def token_other_range(b):
    return list(forms.fp8_dynamic(b, norm_of(b, start(b)), range_=127.0))


@case("neither one a row nor one a block", quantiser=True)
def fp8_dynamic_per_tensor(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    step = b.reduce("maximum", b.ew("abs", y), [0, 1])
    step = b.ew("divide", step, b.splat(448.0, step))
    scaled = b.ew("divide", y, b.broadcast(step, [T, H], []))
    return [b.convert(forms.clamp(b, scaled, 448.0, "clamp"), "f8E4M3FN"), step]


@case("the scale has an upper bound of 10, which cannot be said", quantiser=True)
def fp8_token_upper_bound(b):
    y = b.convert(norm_of(b, start(b)), "f32")
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [1]), [T, 1], [0])
    step = b.ew("divide", amax, b.splat(448.0, amax))
    step = b.ew("minimum", step, b.splat(10.0, step))
    return [b.convert(b.ew("divide", y, b.broadcast(step, [T, H], [0, 1])), "f8E4M3FN"), step]


@case("an e4m3 scale of blocks of 32; nvfp4 has blocks of 16", quantiser=True)
def nvfp4_blocks_of_32(b):
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, block=32))


@case("nvfp4 without a select of zero codes where the scale is zero", quantiser=True)
def nvfp4_unguarded(b):
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, guarded=False))


@case("no known quantiser follows: the quantisation scale goes into stablehlo.compare", quantiser=True)
def nvfp4_guard_of_a_negative_scale(b):
    """A global scale may be negative, and so its block scales."""
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, guarded="GT"))


@case("the scale has its upper bound before the global scale, which cannot be said", quantiser=True)
def nvfp4_bounded_before_the_global_scale(b):
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, bounded="before"))


@case("the floor 0.001 under the scale cannot be said here", quantiser=True)
def nvfp4_floor_behind_the_global_scale(b):
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, bounded="after", floor=0.001))


@case("fp4 without a clamp of the codes to +-6", quantiser=True)
def nvfp4_unclamped(b):
    return list(forms.nvfp4(b, norm_of(b, start(b)), b.arg([], "f32"), True, clamped="none"))


def rounded_to_power(b, change, floor=1e-4):
    """Blocks of 128 whose scales `change` computes from amax / 448."""
    return list(forms.fp8_power(b, norm_of(b, start(b)), 128, floor, None, reread=True,
                                round_=lambda b, step, way: (None, change(step))))


@case("the scale's bits are not those of amax / 448 rounded up", quantiser=True)
def power_of_two_below(b):
    return rounded_to_power(b, lambda step: b.convert(forms.bits(b, b.ew(
        "and", forms.bits(b, step), b.splat(0x7F800000, step, "i32")), "f32"), "f8E8M0FNU"))


@case("the scale's bits are not those of amax / 448 rounded up", quantiser=True)
def power_of_two_nearest(b):
    return rounded_to_power(b, lambda step: b.convert(forms.bits(b, b.ew(
        "and", b.ew("add", forms.bits(b, step), b.splat(0x400000, step, "i32")), b.splat(0x7F800000, step, "i32")),
        "f32"), "f8E8M0FNU"))


@case("the scale's bits are not those of amax / 448 rounded up", quantiser=True)
def power_of_two_always_next(b):
    return rounded_to_power(b, lambda step: b.convert(forms.bits(b, b.ew(
        "and", b.ew("add", forms.bits(b, step), b.splat(0x800000, step, "i32")), b.splat(0x7F800000, step, "i32")),
        "f32"), "f8E8M0FNU"))


@case("the scale's bits are not those of amax / 448 rounded up", quantiser=True)
def power_of_two_without_floor(b):
    return rounded_to_power(b, lambda step: forms.rounded_up(b, step, "carry")[1], floor=None)


@case("the quantiser converts from f32 to f8E8M0FNU", quantiser=True)
def power_of_two_by_conversion(b):
    return rounded_to_power(b, lambda step: b.convert(step, "f8E8M0FNU"))


@case("the scale is rounded to a power of two by way of stablehlo.log", quantiser=True)
def power_of_two_by_logarithm(b):
    def change(step):
        log2 = b.ew("divide", b.ew("log", step), b.splat(0.6931471805599453, step))
        return b.convert(b.ew("power", b.splat(2.0, step), b.ew("ceil", log2)), "f8E8M0FNU")
    return rounded_to_power(b, change)


@case("one power of two scales a whole row", quantiser=True)
def power_of_two_a_row(b):
    return list(forms.fp8_power(b, norm_of(b, start(b)), H, 1e-4, "carry"))


@case("the scales are powers of two, but nowhere f8E8M0FNU", quantiser=True)
def power_of_two_in_f32(b):
    codes, scale = forms.fp8_power(b, norm_of(b, start(b)), 128, 1e-4, None, round_=lambda b, step, way: (
        forms.bits(b, b.ew("and", b.ew("add", forms.bits(b, step), b.splat(0x7FFFFF, step, "i32")),
                           b.splat(0x7F800000, step, "i32")), "f32"),) * 2)
    return [codes, scale]


@case("the scale's bits are not those of", quantiser=True)
def mx_another_exponent(b):
    return list(forms.mx(b, norm_of(b, start(b)), "f8E4M3FN", "maximum", largest=7))


@case("the scale's bits are not those of", quantiser=True)
def mx_shift_of_a_negative_number(b):
    """The exponent in the sign's place comes back with its copies."""
    y = b.reshape(b.convert(norm_of(b, start(b)), "f32"), [T, H // 32, 32])
    amax = b.broadcast(b.reduce("maximum", b.ew("abs", y), [2]), [T, H // 32, 1], [0, 1])
    top = b.ew("shift_left", forms.bits(b, amax), b.splat(1, amax, "i32"))
    exponent = b.ew("shift_right_arithmetic", top, b.splat(24, top))
    less = b.ew("maximum", b.ew("subtract", exponent, b.splat(8, exponent)), b.splat(0, exponent))
    scale = forms.bits(b, b.convert(less, "ui8"), "f8E8M0FNU")
    return [forms.divided(b, y, b.convert(scale, "f32"), False, "clamp", 448.0, "f8E4M3FN"), scale]


@case("the scale's bits are not those of", quantiser=True)
def mx_blocks_of_64(b):
    return list(forms.mx(b, norm_of(b, start(b)), "f8E4M3FN", "maximum", block=64))


@case("the codes are f4E2M1FN, which their scale is not for", quantiser=True)
def mx_codes_of_the_other_format(b):
    return list(forms.mx(b, norm_of(b, start(b)), "f4E2M1FN", "maximum", largest=8))


@case("fp8 without a clamp to +-448", quantiser=True)
def mxfp8_without_clamp(b):
    return list(forms.mx(b, norm_of(b, start(b)), "f8E4M3FN", "maximum", clamped="none"))


@case("the quantiser reads the norm before it is rounded to bf16", quantiser=True)
def fp8_of_unrounded_norm(b):
    f = b.convert(start(b), "f32")
    wide = forms.rms_norm(b, f, b.arg([H], "f32"), "after", "f32", 1e-6)
    return [b.convert(wide, "bf16"), forms.fp8_static(b, wide, b.arg([], "f32"), False)]


def plain(fiar_opt, text):
    return subprocess.run([fiar_opt, "--split-input-file"], input=text, capture_output=True, text=True, check=True).stdout


modules = [m for _, m, _, _ in cases]
if sys.argv[1] == "print":
    print("\n// -----\n".join(modules))
    sys.exit()
unfused = plain(sys.argv[1], "\n// -----\n".join(modules)).split("// -----")
bad = 0
for (name, module, reason, quantiser), (fused, report, text), same in zip(cases, fuse(sys.argv[1], modules), unfused):
    row = report["all_reduces"][0]
    if quantiser:
        why = row.get("quant_left", "")
        said = reason in why if reason else "quant_left" not in row
        ok = len(fused) == 1 and fused[0]["quant"] == "none" and "norm" in fused[0]["results"] and said
    else:
        why = row.get("reason", "")
        ok = not fused and reason in why and text == same
    if not ok:
        bad += 1
        print(f"{name}: wanted '{reason}', got '{why}', {len(fused)} fused, {report}")
print(f"{len(cases) - bad} of {len(cases)} decoys are left with their reasons")
sys.exit(bad != 0)
