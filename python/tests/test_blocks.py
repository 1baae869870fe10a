# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fused against unfused, block by block."""
import functools
import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import blocks
import conftest
import fiar.jax
from blocks import bits

E4M3, E2M1 = ml_dtypes.float8_e4m3fn, ml_dtypes.float4_e2m1fn


def codes_of(name, norm, scale):
    """The quantiser applied to a norm, in numpy: f32 operations in the IR's order, and conversions that
    round to nearest even. (XLA:CPU's own f32 -> f8E4M3FN does not: it takes 16.99 to 18.)"""
    y = np.asarray(norm).astype(np.float32)
    if name == "fp8":
        return [np.clip(y / scale, -448, 448).astype(E4M3)]
    if name == "fp8_token":
        s = np.maximum(np.max(np.abs(y), axis=-1, keepdims=True) / np.float32(448), np.float32(1e-12))
        return [(y / s).astype(E4M3), s]
    if name == "nvfp4":
        groups = y.reshape(*y.shape[:-1], -1, 16)
        sf = (scale * (np.max(np.abs(groups), axis=-1) / np.float32(6))).astype(E4M3)
        f = sf.astype(np.float32)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            codes = np.where(f == 0, 0, np.clip(groups * (scale / f), -6, 6))
        return [codes.astype(E2M1).reshape(y.shape), sf]
    return []


@functools.cache
def fused_and_unfused(name, mesh):
    """Compiled once for the tests that want the same."""
    unfused = blocks.sharded(blocks.STEPS[name], mesh)
    return fiar.jax.fuse(unfused), unfused


@pytest.mark.parametrize("name", blocks.STEPS)
def test_block_keeps_the_bits_of_residual_and_norm(mesh, name):
    fused, unfused = fused_and_unfused(name, mesh)
    inputs = blocks.step_inputs()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = fused(*inputs)
    want = unfused(*inputs)
    assert [(g.shape, g.dtype, g.sharding) for g in got] == [(w.shape, w.dtype, w.sharding) for w in want]
    np.testing.assert_array_equal(bits(got[0]), bits(want[0]))
    blocks.assert_same_norm(got[1], want[1])
    for g, w in zip(got[2:], codes_of(name, got[1], inputs[4]), strict=True):
        np.testing.assert_array_equal(bits(g), bits(w))


@pytest.mark.parametrize("name", blocks.STEPS)
def test_every_device_holds_the_same_bits(mesh, name):
    fused, _ = fused_and_unfused(name, mesh)
    for out in fused(*blocks.step_inputs(seed=2)):
        shards = [bits(shard.data) for shard in out.addressable_shards]
        assert len(shards) == mesh.size
        for shard in shards[1:]:
            np.testing.assert_array_equal(shard, shards[0])


def test_the_report_names_the_quantiser_and_the_results():
    mesh = blocks.mesh(4)
    found = fiar.jax.report(blocks.sharded(blocks.step_nvfp4, mesh), *blocks.step_inputs())
    assert (found.seen, found.fused, found.refused) == (1, 1, 0)
    assert found.rows[0]["quant"] == "nvfp4" and found.rows[0]["world"] == mesh.size
    assert found.rows[0]["results"] == ["residual", "norm", "quant", "scales"]
    assert "1 fused" in str(found) and "nvfp4" in str(found)


def test_model_of_two_layers(mesh):
    parameters = blocks.model_parameters(2)
    unfused = blocks.sharded_model(parameters, mesh)
    rng = np.random.default_rng(3)
    x, residual = (rng.normal(size=(blocks.T, blocks.H)).astype(blocks.BF16) for _ in range(2))
    assert fiar.jax.report(unfused, parameters, x, residual).fused == 4
    fused = fiar.jax.fuse(unfused)
    got, again, want = fused(parameters, x, residual), fused(parameters, x, residual), unfused(parameters, x, residual)
    for g, a, w in zip(got, again, want):
        np.testing.assert_array_equal(bits(g), bits(a))
        # XLA rounds the partial sums to bf16 and adds them in another order; four layers carry that on.
        np.testing.assert_allclose(np.asarray(g, np.float32), np.asarray(w, np.float32), atol=0.08, rtol=0.02)


@pytest.mark.parametrize("tokens", [0, 1, 7])
def test_token_counts(tokens):
    unfused = blocks.sharded(blocks.step_plain, blocks.mesh(4))
    inputs = blocks.step_inputs(tokens=tokens)
    got, want = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
    np.testing.assert_array_equal(bits(got[0]), bits(want[0]))
    if tokens:
        blocks.assert_same_norm(got[1], want[1])


def test_norm_in_float32():
    unfused = blocks.sharded(blocks.step_plain, blocks.mesh(4))
    inputs = [np.asarray(a, np.float32) for a in blocks.step_inputs()]
    got, want = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
    np.testing.assert_array_equal(bits(got[0]), bits(want[0]))
    np.testing.assert_array_max_ulp(np.asarray(got[1]), np.asarray(want[1]), maxulp=2)


def test_gemma_norm_is_within_one_ulp_for_random_weights(mesh):
    fused, unfused = fused_and_unfused("gemma", mesh)
    x, down, residual, _, scale = blocks.step_inputs(seed=5)
    w = np.random.default_rng(6).normal(size=blocks.H).astype(blocks.BF16)
    got, want = fused(x, down, residual, w, scale), unfused(x, down, residual, w, scale)
    np.testing.assert_array_equal(bits(got[0]), bits(want[0]))
    assert blocks.ulps(got[1], want[1]) <= 1


def test_nothing_to_fuse_runs_the_original_and_says_why():
    mesh = blocks.mesh(4)
    largest = jax.jit(jax.shard_map(lambda x: jax.lax.pmax(x, "tp"), mesh=mesh, in_specs=jax.P("tp"), out_specs=jax.P()))
    x = jnp.arange(8.0)
    with pytest.warns(fiar.jax.NothingFused, match="maximum"):
        got = fiar.jax.fuse(largest)(x)
    np.testing.assert_array_equal(got, largest(x))
    plain = jax.jit(lambda x: x + 1)
    with pytest.warns(fiar.jax.NothingFused, match="0 all-reduces seen"):
        np.testing.assert_array_equal(fiar.jax.fuse(plain)(x), x + 1)


@pytest.mark.parametrize("share, tokens", [(1, 1), (2, 5), (1, 16)], ids=["one token", "uneven parts", "even parts"])
def test_sharded_residuals_change_no_bit(share, tokens):
    conftest.needs(2 * share)
    parameters, mesh = blocks.model_parameters(3), blocks.mesh(conftest.DEVICES // share)
    rng = np.random.default_rng(3)
    x, residual = (rng.normal(size=(tokens, blocks.H)).astype(blocks.BF16) for _ in range(2))
    unfused = blocks.sharded_model(parameters, mesh)
    text = unfused.trace(parameters, x, residual).lower().as_text()
    rewritten = fiar.jax.rewrite(text, shard_residual=True)
    assert rewritten.count("token_shard") == 6
    assert [rewritten.count(f'"fiar.{op}"') for op in ("take_rows", "all_gather_rows")] == [1, 1]
    whole = fiar.jax.fuse(unfused)(parameters, x, residual)
    sharded = fiar.jax.fuse(unfused, shard_residual=True)(parameters, x, residual)
    for a, b in zip(whole, sharded, strict=True):
        np.testing.assert_array_equal(bits(a), bits(b))


@pytest.mark.parametrize("name", blocks.ROWS_STEPS)
def test_rows_that_are_scattered_and_gathered_fuse(mesh, name):
    unfused = blocks.sharded_by_rows(blocks.ROWS_STEPS[name], mesh)
    inputs = blocks.step_inputs(tokens=3 * mesh.size)
    text = unfused.trace(*inputs).lower().as_text()
    rewritten = fiar.jax.rewrite(text)
    assert rewritten.count("token_block") == 1 and "all_gather" not in rewritten
    (residual, got), (want_residual, want) = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
    assert residual.sharding == want_residual.sharding
    np.testing.assert_array_equal(bits(residual), bits(want_residual))
    blocks.assert_same_norm(got[0], want[0])
    for g, w in zip(got[1:], codes_of(name, got[0], inputs[4]), strict=True):
        np.testing.assert_array_equal(bits(g), bits(w))


@pytest.mark.parametrize("own", ["weight", "scale"])
def test_rows_with_values_of_each_device_are_left(mesh, own):
    """A row's owner may be the only one to use them."""
    def step(x, residual, w, scale):
        y = blocks.rms_norm(residual + jax.lax.psum_scatter(x, "tp", tiled=True), w)
        return jax.lax.all_gather(blocks.fp8_static(y, scale[0]), "tp", tiled=True)

    n = mesh.size
    specs = (jax.P(), jax.P("tp"), jax.P("tp" if own == "weight" else None), jax.P("tp" if own == "scale" else None))
    unfused = jax.jit(jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=jax.P(), check_vma=False))
    shapes = ((2 * n, 64), (2 * n, 64), (64 * (n if own == "weight" else 1),), (n if own == "scale" else 1,))
    structs = [jax.ShapeDtypeStruct(s, d) for s, d in zip(shapes, (blocks.BF16,) * 3 + (np.float32,))]
    assert f"the {own} is not known to be the same" in str(fiar.jax.report(unfused, *structs))


def rows_layers(x, residual, weights):
    """Layers as a scan has them: each begins with the norm of the rows that the one before summed."""

    def layer(residual, w):
        y = jax.lax.all_gather(blocks.rms_norm(residual, w), "tp", tiled=True)
        return residual + jax.lax.psum_scatter(y * x, "tp", tiled=True), None

    return jax.lax.scan(layer, residual, weights)[0]


def test_scan_over_layers_of_scattered_rows(mesh):
    rng = np.random.default_rng(8)
    x, residual = (rng.integers(-1, 2, (2 * mesh.size, blocks.H)).astype(blocks.BF16) for _ in range(2))
    weights = np.full((3, blocks.H), 0.125, blocks.BF16)
    unfused = jax.jit(jax.shard_map(rows_layers, mesh=mesh, in_specs=(jax.P(), jax.P("tp"), jax.P()), out_specs=jax.P("tp"),
                                    check_vma=False))
    assert fiar.jax.rewrite(unfused.trace(x, residual, weights).lower().as_text()).count("token_block") == 1
    got, want = fiar.jax.fuse(unfused)(x, residual, weights), unfused(x, residual, weights)
    # XLA rounds the partial sums to bf16 and adds them in another order.
    np.testing.assert_allclose(np.asarray(got, np.float32), np.asarray(want, np.float32), atol=0.05, rtol=0.02)


def deep(x, mine, residual, w):
    """80 layers of two all-reduces; `mine` is each rank's own."""
    for _ in range(160):
        residual = residual + jax.lax.psum(x * mine[0], "tp")
        x = blocks.rms_norm(residual, w)
    return x, residual


@pytest.mark.parametrize("devices, tokens", [(2, 5), (3, 7), (4, 6)])
def test_80_layers_stay_sharded(devices, tokens):
    conftest.needs(devices)
    rng = np.random.default_rng(devices)
    hidden = 48
    x, residual = (rng.normal(size=(tokens, hidden)).astype(blocks.BF16) for _ in range(2))
    mine = rng.normal(size=(devices, hidden)).astype(blocks.BF16)
    w = (1 + rng.normal(size=hidden) / 8).astype(blocks.BF16)
    specs = (jax.P(), jax.P("tp"), jax.P(), jax.P())
    unfused = jax.jit(jax.shard_map(deep, mesh=blocks.mesh(devices), in_specs=specs, out_specs=jax.P(), check_vma=False))
    rewritten = fiar.jax.rewrite(unfused.trace(x, mine, residual, w).lower().as_text(), shard_residual=True)
    assert rewritten.count("token_shard") == 160
    assert [rewritten.count(f'"fiar.{op}"') for op in ("take_rows", "all_gather_rows")] == [1, 1]
    whole = fiar.jax.fuse(unfused)(x, mine, residual, w)
    sharded = fiar.jax.fuse(unfused, shard_residual=True)(x, mine, residual, w)
    for a, b in zip(whole, sharded, strict=True):
        np.testing.assert_array_equal(bits(a), bits(b))
