#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""chains.py accepted|refused: a module a case, each with fused ops whose residuals may, or may not, stay sharded.

Refused modules carry the reason as --verify-diagnostics wants it, before each op that is left.
"""
import sys

T = "tensor<5x64xbf16>"
GROUPS = "dense<[[0, 1]]> : tensor<1x2xi64>"
TP = '#stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "tp">]>'
MESH = 'sdy.mesh @mesh = <["dp"=2, "tp"=2]>'
# JAX prints a mesh of the groups' own beside that of the shardings.
TP_0, MESH_0 = TP.replace("@mesh", "@mesh_0"), MESH.replace("@mesh", "@mesh_0")
UNPROVED = "its {} is not known to be the same on all ranks of the group"
ALONE = "no other fused op gives it its residual or takes the one it gives"


def fused(name, x, residual=None, weight=None, scale=None, why=None, t=T, groups=GROUPS, gives=True, world=2):
    """One fiar.all_reduce_norm: %name#0 is its residual (where it gives one), the last result its norm."""
    given = [(x, t), (residual, t), (weight, "tensor<64xbf16>"), (scale, "tensor<f32>")]
    operands = [(v, k) for v, k in given if v]
    sizes = ", ".join(str(int(v is not None)) for v, _ in given)
    quant = "fp8_static" if scale else "none"
    results = [t] * gives + [t] + ([t.replace("bf16", "f8E4M3FN")] if scale else [])
    expected = f"  // expected-remark@+1 {{{{residual left whole: {why}}}}}\n" if why else ""
    return (f'{expected}  {name}:{len(results)} = "fiar.all_reduce_norm"({", ".join(v for v, _ in operands)}) {{'
            f'operandSegmentSizes = array<i32: {sizes}>, resultSegmentSizes = array<i32: 0, {int(gives)}, 1, {int(bool(scale))}, 0>, '
            f'eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "{quant}", scale_layout = "linear", '
            f'group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32", norm_rounding = "before_weight", '
            f'residual_layout = "full", world = {world} : i64, groups = {groups}}} : '
            f'({", ".join(k for _, k in operands)}) -> ({", ".join(results)})')


def use(*values, t=T):
    return f'  "test.use"({", ".join(values)}) : ({", ".join([t] * len(values))}) -> ()'


def function(name, body, arguments=f"%x: {T}, %y: {T}, %r: {T}"):
    return f"func.func @{name}({arguments}) {{\n{body}\n  return\n}}"


def manual(name, body, sharding, weight="{}"):
    """The body sees %x, %y, %r and %w; %r comes with this sharding."""
    return (f'{MESH}\nfunc.func @{name}(%gx: {T}, %gr: {T}, %gw: tensor<64xbf16>) -> {T} {{\n'
            f'  %out = sdy.manual_computation(%gx, %gx, %gr, %gw) in_shardings=[<@mesh, [{{}}, {{"tp"}}]>, <@mesh, [{{}}, {{"tp"}}]>, '
            f'<@mesh, {sharding}>, <@mesh, [{weight}]>] out_shardings=[<@mesh, [{{}}, {{}}]>] manual_axes={{"dp", "tp"}} '
            f'(%x: {T}, %y: {T}, %r: {T}, %w: tensor<64xbf16>) {{\n{body}\n  sdy.return %x : {T}\n  }} : '
            f'({T}, {T}, {T}, tensor<64xbf16>) -> {T}\n  return %out : {T}\n}}')


def nested(name, body, outer):
    """A manual computation over "dp" inside one over "tp", whose %gr comes with the sharding `outer`."""
    return (f'{MESH}\nfunc.func @{name}(%hx: {T}, %hr: {T}) -> {T} {{\n'
            f'  %o = sdy.manual_computation(%hx, %hr) in_shardings=[<@mesh, [{{}}, {{"tp"}}]>, <@mesh, {outer}>] '
            f'out_shardings=[<@mesh, [{{}}, {{}}]>] manual_axes={{"tp"}} (%gx: {T}, %gr: {T}) {{\n'
            f'  %i = sdy.manual_computation(%gx, %gx, %gr) in_shardings=[<@mesh, [{{}}, {{}}]>, <@mesh, [{{}}, {{}}]>, <@mesh, [{{}}, {{}}]>] '
            f'out_shardings=[<@mesh, [{{}}, {{}}]>] manual_axes={{"dp"}} (%x: {T}, %y: {T}, %r: {T}) {{\n{body}\n  sdy.return %x : {T}\n  }} : '
            f'({T}, {T}, {T}) -> {T}\n  sdy.return %i : {T}\n  }} : ({T}, {T}) -> {T}\n  return %o : {T}\n}}')


def chain(residual="%r", first=None, second=None, **kw):
    """Two ops; the last residual is used as a whole."""
    return "\n".join([fused("%a", "%x", residual, why=first, **kw), fused("%b", "%y", "%a#0", why=second, **kw),
                      use("%b#0", "%a#1", "%b#1", t=kw.get("t", T))])


def counted(body, first="%r", yields="%b#0", name="%l"):
    """scf.for, three rounds, carrying %c; %l is its result."""
    return (f"  %lo = arith.constant 0 : index\n  %hi = arith.constant 3 : index\n  %st = arith.constant 1 : index\n"
            f"  {name} = scf.for %i = %lo to %hi step %st iter_args(%c = {first}) -> ({T}) {{\n{body}\n  scf.yield {yields} : {T}\n  }}")


def conditional(body, yields="%b#0", look=""):
    """stablehlo.while over a counter and %c, which its condition calls %q."""
    return (f"  %zero = stablehlo.constant dense<0> : tensor<i32>\n  %one = stablehlo.constant dense<1> : tensor<i32>\n"
            f"  %n = stablehlo.constant dense<3> : tensor<i32>\n"
            f'  %l:2 = "stablehlo.while"(%zero, %r) ({{\n  ^bb0(%i: tensor<i32>, %q: {T}):\n'
            f'{look}    %go = "stablehlo.compare"(%i, %n) <{{comparison_direction = #stablehlo<comparison_direction LT>}}> : (tensor<i32>, tensor<i32>) -> tensor<i1>\n'
            f'    "stablehlo.return"(%go) : (tensor<i1>) -> ()\n  }}, {{\n  ^bb0(%i: tensor<i32>, %c: {T}):\n'
            f'    %j = "stablehlo.add"(%i, %one) : (tensor<i32>, tensor<i32>) -> tensor<i32>\n{body}\n'
            f'    "stablehlo.return"(%j, {yields}) : (tensor<i32>, {T}) -> ()\n  }}) : (tensor<i32>, {T}) -> (tensor<i32>, {T})')


def two(first, second=None, norms=True, **kw):
    """Two fused ops from a residual; their norms are used."""
    return "\n".join([fused("%a", "%x", first, **kw), fused("%b", "%y", second or "%a#0", **kw)] + [use("%a#1", "%b#1")] * norms)


REPLICATED = f'%x: {T}, %y: {T}, %r: {T} {{mhlo.sharding = "{{replicated}}"}}'
FIRST, SECOND = UNPROVED.format("residual"), UNPROVED.format("residual")
BOTH = {"first": FIRST, "second": SECOND}
ROWS3 = "tensor<2x3x64xbf16>"

ACCEPTED = [
    function("argument_of_a_function", chain(), REPLICATED),
    manual("argument_of_a_manual_computation", chain(groups=TP), "[{}, {}]"),
    manual("argument_split_over_other_axes", chain(groups=TP), '[{"dp"}, {}]'),
    manual("argument_split_over_other_axes_of_an_equal_mesh", chain(groups=TP_0), '[{"dp"}, {}]') + "\n" + MESH_0,
    nested("argument_whole_outside_and_inside", chain(groups=TP), "[{}, {}]"),
    function("no_first_residual", chain(None)),
    function("constant", f"  %c = stablehlo.constant dense<1.0> : {T}\n" + chain("%c")),
    function("plain_all_reduce", f'  %s = "fiar.all_reduce"(%r) {{world = 2 : i64, groups = {GROUPS}}} : ({T}) -> {T}\n' + chain("%s")),
    function("computed", f"  %s = stablehlo.add %r, %r : {T}\n  %o = stablehlo.optimization_barrier %s : {T}\n" + chain("%o"), REPLICATED),
    function("looked_up", '  %s = "stablehlo.gather"(%e, %ids) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], '
             'start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 64>}> : '
             f'(tensor<9x64xbf16>, tensor<5x1xi32>) -> {T}\n' + chain("%s"),
             f'%x: {T}, %y: {T}, %e: tensor<9x64xbf16> {{mhlo.sharding = "{{replicated}}"}}, %ids: tensor<5x1xi32> {{mhlo.sharding = "{{replicated}}"}}'),
    function("rows_in_three_dimensions", chain(t=ROWS3), f"%x: {ROWS3}, %y: {ROWS3}, %r: {ROWS3} {{mhlo.sharding = \"{{replicated}}\"}}"),
    # Two take the same residual; the whole is wanted inside a region.
    function("fan_out", "\n".join([fused("%a", "%x", "%r"), fused("%b", "%y", "%a#0"), fused("%c", "%y", "%a#0"),
                                   '  "test.region"() ({', "  " + use("%a#0"), "  }) : () -> ()"]), REPLICATED),
    # A loop carries it: cut before the first round, put together behind the last.
    function("counted_loop", counted(two("%c")) + "\n" + use("%l"), REPLICATED),
    function("conditional_loop", conditional(two("%c")) + "\n" + use("%l#1"), REPLICATED),
    # From a fused op into the loop, and from the loop into another one.
    function("chain_through_a_loop", "\n".join([fused("%p", "%x", "%r"), counted(two("%c"), "%p#0"), fused("%s", "%y", "%l"),
                                                use("%p#1", "%s#0", "%s#1")]), REPLICATED),
    function("loops_in_loops", counted("  %m = scf.for %k = %lo to %hi step %st iter_args(%d = %c) -> (" + T + ") {\n" +
                                       two("%d") + f"\n  scf.yield %b#0 : {T}\n  }}", yields="%m") + "\n" + use("%l"), REPLICATED),
    # A condition that looks at it wants it whole: the body's own chain is cut and put together in each round.
    function("condition_that_looks", conditional(two("%c"), look=use("%q") + "\n") + "\n" + use("%l#1"), REPLICATED),
    # In each round something else wants it whole.
    function("whole_in_each_round", counted("\n".join([two("%c"), use("%c")])) + "\n" + use("%l"), REPLICATED),
    # The loop carries something else, which is the same on all ranks by induction: only the body's own chain is sharded.
    function("chain_inside_a_loop", counted(two("%c") + "\n" + f"  %s = stablehlo.add %c, %c : {T}", yields="%s") + "\n" + use("%l"), REPLICATED),
    # A private function's argument is the same where all its calls say so, and so is what it gives back.
    function("across_calls", f"  %h = func.call @twice(%r) : ({T}) -> {T}\n  %g = func.call @twice(%h) : ({T}) -> {T}\n" + chain("%g"), REPLICATED) +
    f"\nfunc.func private @twice(%v: {T}) -> {T} {{\n  %s = stablehlo.add %v, %v : {T}\n  return %s : {T}\n}}",
    function("inside_a_function", f'  func.call @block(%x, %y, %r) : ({T}, {T}, {T}) -> ()', REPLICATED) +
    f"\nfunc.func private @block(%x: {T}, %y: {T}, %r: {T}) {{\n{chain()}\n  return\n}}",
    # The weight and the scale are the owner's.
    manual("weight", chain(groups=TP, weight="%w"), "[{}, {}]"),
]

REFUSED = [
    function("argument_without_sharding", chain(**BOTH)),
    function("open_sharding", chain(groups=TP, **BOTH), f'%x: {T}, %y: {T}, %r: {T} {{sdy.sharding = #sdy.sharding<@mesh, [{{?}}, {{}}]>}}') + "\n" + MESH,
    manual("argument_split_over_the_group", chain(groups=TP, **BOTH), '[{"tp"}, {}]'),
    manual("argument_split_over_axes_of_another_mesh", chain(groups=TP_0, **BOTH), '[{"dp"}, {}]') + "\n" + MESH_0.replace('"dp"=2, "tp"=2', '"tp"=2, "dp"=2'),
    nested("argument_split_outside", chain(groups=TP, **BOTH), '[{"tp"}, {}]'),
    manual("argument_split_over_unnamed_groups", chain(**BOTH), '[{"dp"}, {}]'),
    manual("unreduced_argument", chain(groups=TP, **BOTH), '[{}, {}], unreduced={"tp"}'),
    manual("weight_split", chain(groups=TP, weight="%w", first=UNPROVED.format("weight"), second=UNPROVED.format("weight")), "[{}, {}]", '{"tp"}'),
    function("scale_unproved", chain(scale="%s", first=UNPROVED.format("scale"), second=UNPROVED.format("scale")), REPLICATED + ", %s: tensor<f32>"),
    function("rank_dependent", f"  %p = stablehlo.partition_id : tensor<ui32>\n  %f = stablehlo.convert %p : (tensor<ui32>) -> tensor<bf16>\n"
             f"  %d = stablehlo.broadcast_in_dim %f, dims = [] : (tensor<bf16>) -> {T}\n  %s = stablehlo.add %r, %d : {T}\n" + chain("%s", **BOTH), REPLICATED),
    function("unknown_op", f'  %s = "test.op"(%r) : ({T}) -> {T}\n' + chain("%s", **BOTH), REPLICATED),
    function("all_reduce_of_other_groups", f'  %s = "fiar.all_reduce"(%r) {{world = 2 : i64, groups = dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>}} : ({T}) -> {T}\n' + chain("%s", **BOTH)),
    function("dynamic_rows", chain(t="tensor<?x64xbf16>", first="its number of rows is not known at compile time", second="its number of rows is not known at compile time"),
             '%x: tensor<?x64xbf16>, %y: tensor<?x64xbf16>, %r: tensor<?x64xbf16> {mhlo.sharding = "{replicated}"}'),
    function("no_residual", fused("%a", "%x", why="it has no residual", gives=False)),
    function("alone", fused("%a", "%x", "%r", why=ALONE) + "\n" + use("%a#0"), REPLICATED),
    function("other_groups", "\n".join([fused("%a", "%x", "%r", why="the fused op that takes its residual is left itself"),
                                        fused("%b", "%y", "%a#0", groups="dense<[[1, 0]]> : tensor<1x2xi64>", why=FIRST)]), REPLICATED),
    function("another_region", "\n".join([fused("%a", "%x", "%r", why="the fused op that takes its residual is in another region"),
                                          '  "test.region"() ({', fused("%b", "%y", "%a#0", why=ALONE), "  }) : () -> ()"]), REPLICATED),
    function("wanted_whole", "\n".join([fused("%a", "%x", "%r", why="more residuals of its chain are needed whole (2) than go to a fused op (1)"),
                                        fused("%b", "%y", "%a#0", why="more residuals of its chain are needed whole (2) than go to a fused op (1)"),
                                        use("%a#0", "%b#0")]), REPLICATED),
    # What a round makes of it is each rank's own.
    function("loop_of_local_values", counted(two("%c", why=FIRST) + f'\n  %o = "test.op"(%b#0) : ({T}) -> {T}', yields="%o") + "\n" + use("%l"), REPLICATED),
    function("loop_from_a_local_value", counted(two("%c", why=FIRST)) + "\n" + use("%l")),
    function("conditional_loop_of_local_values", conditional(two("%c", why=FIRST) + f'\n  %o = "test.op"(%b#0) : ({T}) -> {T}', yields="%o") + "\n" + use("%l#1"), REPLICATED),
    # Ranks may leave this loop in different rounds.
    function("rounds_that_ranks_count_themselves",
             f'  %lo, %hi, %st = "test.op"() : () -> (index, index, index)\n  %l = scf.for %i = %lo to %hi step %st iter_args(%c = %r) -> ({T}) {{\n'
             f"  %s = stablehlo.add %c, %c : {T}\n  scf.yield %s : {T}\n  }}\n" + chain("%l", **BOTH), REPLICATED),
    # One of two calls gives another value; a public function may be called by anyone; an address may go anywhere.
    function("different_calls", f'  %o = "test.op"() : () -> {T}\n  func.call @block(%x, %y, %r) : ({T}, {T}, {T}) -> ()\n'
             f"  func.call @block(%x, %y, %o) : ({T}, {T}, {T}) -> ()", REPLICATED) +
    f"\nfunc.func private @block(%x: {T}, %y: {T}, %r: {T}) {{\n{chain(**BOTH)}\n  return\n}}",
    function("public_function", f"  func.call @block(%x, %y, %r) : ({T}, {T}, {T}) -> ()", REPLICATED) +
    f"\nfunc.func @block(%x: {T}, %y: {T}, %r: {T}) {{\n{chain(**BOTH)}\n  return\n}}",
    function("address_of_a_function", f'  func.call @block(%x, %y, %r) : ({T}, {T}, {T}) -> ()\n  "test.op"() {{to = [@block]}} : () -> ()', REPLICATED) +
    f"\nfunc.func private @block(%x: {T}, %y: {T}, %r: {T}) {{\n{chain(**BOTH)}\n  return\n}}",
    # Arguments of a region that nothing is known of.
    function("loop", f'  "test.loop"() ({{\n  ^bb0(%l: {T}):\n{chain("%l", **BOTH)}\n  }}) : () -> ()'),
]

cases = {"accepted": ACCEPTED, "refused": REFUSED}[sys.argv[1]]
print("\n// -----\n".join(cases))
