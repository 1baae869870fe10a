# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fused functions under JAX's transformations, and beside one another."""
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P

import blocks
import conftest
import fiar.jax
from blocks import bits

RANKS = min(4, conftest.DEVICES)  # of blocks.mesh(4)


def same(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
        blocks.assert_same_norm(g, w)


@pytest.fixture
def step():
    unfused = blocks.sharded(blocks.step_plain, blocks.mesh(4))
    return unfused, fiar.jax.fuse(unfused)


def test_under_jit(step):
    def twice(f):
        def run(x, down, residual, w, scale):
            h, _ = f(x, down, residual, w, scale)
            return f(x, down, jnp.minimum(h, 16), w, scale)

        return jax.jit(run)

    unfused, fused = step
    inputs = blocks.step_inputs()
    same(twice(fused)(*inputs), twice(unfused)(*inputs))
    assert "fiar.all_reduce_norm" in twice(fused).lower(*inputs).as_text()


def test_around_nested_jits():
    """Each jit becomes a function: the sum, and the norm, are in ones of their own."""
    reduced, norm = jax.jit(blocks._reduced), jax.jit(blocks.rms_norm)

    def step(x, down, residual, w, scale):
        h = reduced(x, down, residual)
        return h, norm(h, w)

    unfused = blocks.sharded(step, blocks.mesh(4))
    inputs = blocks.step_inputs()
    assert fiar.jax.report(unfused, *inputs).fused == 1
    same(fiar.jax.fuse(unfused)(*inputs), unfused(*inputs))


def carry_on(f, inputs):
    x, down, residual, w, scale = inputs

    def turn(h, part):
        h, y = f(x * part, down, jnp.clip(h, -16, 16), w, scale)
        return h, y

    return jax.lax.scan(turn, jnp.asarray(residual), jnp.array([1, 0, -1, 1], blocks.BF16))


def test_inside_scan(step):
    unfused, fused = step
    inputs = blocks.step_inputs()
    same(jax.jit(lambda *a: carry_on(fused, a))(*inputs), jax.jit(lambda *a: carry_on(unfused, a))(*inputs))


def test_around_scan():
    def layers(x, down, residual, w, scale):
        return carry_on(blocks.step_plain, (x, down, residual, w, scale))

    unfused = blocks.sharded(layers, blocks.mesh(4))
    inputs = blocks.step_inputs()
    assert fiar.jax.report(unfused, *inputs).fused == 1
    same(fiar.jax.fuse(unfused)(*inputs), unfused(*inputs))


def test_scan_over_layers():
    """Each turn begins with the norm of what the turn before it summed."""
    def layers(h, stack):
        def turn(h, layer):
            w, up, down = layer
            n = blocks.rms_norm(h, w)
            return h + jax.lax.psum(jnp.maximum(n @ up, 0) @ down, "tp"), ()

        return jax.lax.scan(turn, h, stack)[0]

    mesh, axis = blocks.mesh(4), jax.sharding.PartitionSpec
    unfused = jax.jit(jax.shard_map(
        layers, mesh=mesh, in_specs=(axis(), (axis(), axis(None, None, "tp"), axis(None, "tp"))), out_specs=axis()))
    random = np.random.default_rng(0)
    shapes = ((8, 64), (3, 64), (3, 64, 32), (3, 32, 64))
    h, *stack = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    assert fiar.jax.report(unfused, h, tuple(stack)).fused == 1
    np.testing.assert_allclose(fiar.jax.fuse(unfused)(h, tuple(stack)), unfused(h, tuple(stack)), rtol=1e-5, atol=1e-4)


def test_vmap_over_batch(step):
    unfused, fused = step
    batches = [blocks.step_inputs(seed) for seed in range(3)]
    stacked = [np.stack([b[i] for b in batches]) for i in (0, 2)]
    _, down, _, w, scale = batches[0]

    def over(f):
        return jax.vmap(lambda x, residual: f(x, down, residual, w, scale))

    want = over(unfused)(*stacked)
    same(over(fused)(*stacked), want)
    same(fiar.jax.fuse(over(unfused))(*stacked), want)
    assert "fiar.all_reduce_norm" in jax.jit(over(fused)).lower(*stacked).as_text()


def test_derivatives_are_those_of_the_original(step):
    unfused, fused = step
    inputs = [np.asarray(a, np.float32) for a in blocks.step_inputs()]

    def loss(f):
        return jax.grad(lambda w: jnp.sum(jnp.square(f(*inputs[:3], w, inputs[4])[1])))

    np.testing.assert_allclose(loss(fused)(inputs[3]), loss(unfused)(inputs[3]), rtol=1e-6)


def test_donated_arguments_are_donated():
    mesh = blocks.mesh(4)
    unfused = blocks.sharded(blocks.step_plain, mesh)
    fused = fiar.jax.fuse(blocks.sharded(blocks.step_plain, mesh, donate_argnums=2))
    inputs = blocks.step_inputs()
    want = unfused(*inputs)
    residual = jax.device_put(inputs[2], NamedSharding(mesh, P()))
    same(fused(inputs[0], inputs[1], residual, *inputs[3:]), want)
    assert residual.is_deleted()


def test_beside_collectives_of_xla(mesh):
    def mixed(x, down, residual, w, scale):
        h, y = blocks.step_plain(x, down, residual, w, scale)
        largest = jax.lax.pmax(h + jax.lax.axis_index("tp").astype(h.dtype), "tp")
        gathered = jax.lax.all_gather(y, "tp", axis=0, tiled=True)[: blocks.T]
        return blocks.step_plain(x, down, jnp.clip(largest + gathered, -16, 16), w, scale)

    unfused, inputs = blocks.sharded(mixed, mesh), blocks.step_inputs()
    assert fiar.jax.report(unfused, *inputs).fused == 2
    fused = fiar.jax.fuse(unfused)
    for _ in range(8):
        (got_h, got_y), (want_h, want_y) = fused(*inputs), unfused(*inputs)
        same(got_h, want_h)
        # XLA may keep the sum unrounded for the norm; the IR says rounded.
        assert blocks.ulps(got_y, want_y) <= 2


def test_two_functions_interleaved_and_repeated():
    mesh = blocks.mesh(4)
    pairs = [(f, fiar.jax.fuse(f)) for f in (blocks.sharded(blocks.step_plain, mesh), blocks.sharded(blocks.step_gemma, mesh))]
    cases = [(fused, blocks.step_inputs(seed, tokens), unfused(*blocks.step_inputs(seed, tokens)))
             for seed, tokens in enumerate((16, 3)) for unfused, fused in pairs]
    for _ in range(8):
        results = [fused(*inputs) for fused, inputs, _ in cases]
        for got, (_, _, want) in zip(results, cases):
            same(got, want)


def test_calls_from_several_threads(step, cpu_only):
    unfused, fused = step
    inputs = [blocks.step_inputs(seed) for seed in range(4)]
    wants, gots = [unfused(*i) for i in inputs], [None] * len(inputs)

    def work(i):
        for _ in range(4):
            gots[i] = jax.block_until_ready(fused(*inputs[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(gots, wants)


@pytest.mark.parametrize("failing", [1, RANKS], ids=["on one device", "on every device"])
def test_an_exception_in_the_middle_leaves_later_calls_whole(step, failing, request):
    """Devices that wait for one that failed give up within FIAR_TIMEOUT_MS."""
    if failing < RANKS:
        request.getfixturevalue("cpu_only")
    left, lock = [failing], threading.Lock()

    def check(h):
        with lock:
            left[0] -= 1
            if left[0] >= 0:
                raise ValueError("broken on purpose")
        return h

    def twice(f):
        def run(x, down, residual, w, scale):
            h, _ = f(x, down, residual, w, scale)
            here = jax.shard_map(lambda h: jax.pure_callback(check, jax.ShapeDtypeStruct(h.shape, h.dtype), h),
                                 mesh=blocks.mesh(4), in_specs=P(), out_specs=P(), check_vma=False)
            return f(x, down, jnp.minimum(here(h), 16), w, scale)

        return jax.jit(run)

    unfused, fused = step
    inputs, run = blocks.step_inputs(), twice(fused)
    with pytest.raises(Exception, match="broken on purpose|missing"):
        jax.block_until_ready(run(*inputs))
    same(run(*inputs), twice(unfused)(*inputs))


def test_host_callbacks_leave_the_original():
    def with_callback(*inputs):
        h, y = blocks.step_plain(*inputs)
        return jax.pure_callback(lambda a: a, jax.ShapeDtypeStruct(h.shape, h.dtype), h), y

    unfused, inputs = blocks.sharded(with_callback, blocks.mesh(4)), blocks.step_inputs()
    with pytest.warns(fiar.jax.NothingFused, match="host_callbacks"):
        got = fiar.jax.fuse(unfused)(*inputs)
    same(got, unfused(*inputs))


def test_pytrees_keywords_and_static_arguments():
    mesh = blocks.mesh(4)

    def run(arrays, residual, *, w, scale, form):
        step = blocks.STEPS[form]
        out = jax.shard_map(step, mesh=mesh, in_specs=blocks.SPECS, out_specs=P(), check_vma=False)(
            arrays["x"], arrays["down"], residual, w, scale)
        return {"h": out[0], "rest": out[1:]}

    x, down, residual, w, scale = blocks.step_inputs()
    unfused = jax.jit(run, static_argnames="form")
    fused = fiar.jax.fuse(run, static_argnames="form")
    for form in ("plain", "gemma"):
        call = dict(w=w, scale=scale, form=form)
        same(fused({"x": x, "down": down}, residual, **call), unfused({"x": x, "down": down}, residual, **call))
    with pytest.raises(TypeError, match="static_argnums"):
        fiar.jax.fuse(unfused)({"x": x, "down": down}, residual, **call)


def test_sharded_inputs_and_outputs_stay_sharded():
    mesh = Mesh(np.array(jax.devices()).reshape(2, -1), ("dp", "tp"))
    specs = (P("dp", "tp"), P("tp", None), P("dp", None), P(), P())
    unfused = jax.jit(jax.shard_map(blocks.step_plain, mesh=mesh, in_specs=specs, out_specs=P("dp", None), check_vma=False))
    inputs = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip(blocks.step_inputs(), specs)]
    got, want = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
    same(got, want)
    assert [g.sharding for g in got] == [w.sharding for w in want]


def test_axes_that_are_explicit_in_types():
    mesh = jax.make_mesh((len(jax.devices()),), ("tp",), axis_types=(AxisType.Explicit,))
    specs = (P(None, "tp"), P("tp", None), P(), P(), P())
    unfused = jax.jit(jax.shard_map(blocks.step_plain, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))
    inputs = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip(blocks.step_inputs(), specs)]
    assert fiar.jax.report(unfused, *inputs).fused == 1
    fused = fiar.jax.fuse(unfused)
    same(fused(*inputs), unfused(*inputs))
    same(jax.jit(lambda *leaves: fused(*leaves))(*inputs), unfused(*inputs))


@pytest.mark.parametrize("axes, order", [(("dp", "tp"), "in order"), (("dp", "tp"), "reversed"), (("dp", "tp"), "shuffled"),
                                         (("tp", "dp"), "shuffled")])
def test_groups_of_a_two_dimensional_mesh(axes, order):
    conftest.needs(4)
    devices = jax.devices()
    if order == "reversed":
        devices = devices[::-1]
    elif order == "shuffled":
        devices = [devices[i] for i in np.random.default_rng(7).permutation(len(devices))]
    mesh = Mesh(np.array(devices).reshape(2, -1), axes)
    specs = (P("dp", "tp"), P("tp", None), P("dp", None), P(), P())
    unfused = jax.jit(jax.shard_map(blocks.step_plain, mesh=mesh, in_specs=specs, out_specs=P("dp", None), check_vma=False))
    inputs = blocks.step_inputs()
    assert fiar.jax.report(unfused, *inputs).fused == 1
    same(fiar.jax.fuse(unfused)(*inputs), unfused(*inputs))
