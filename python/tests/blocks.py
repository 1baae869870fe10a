# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensor-parallel transformer blocks in the ways that JAX models write them, and their inputs."""
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.sharding import Mesh, PartitionSpec as P

T, H, EPS = 16, 256, 1e-6
BF16 = ml_dtypes.bfloat16


def mesh(devices):
    """Of so many devices, or all where there are fewer."""
    return Mesh(np.array(jax.devices()[:devices]), ("tp",))


# ---- Norms and quantisers --------------------------------------------------------------------------


def rms_norm(x, w):
    """Rounded to bf16 before the weight, as Llama does."""
    f = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(f * f, axis=-1, keepdims=True) + EPS)
    return (f * inverse).astype(x.dtype) * w


def gemma_norm(x, w):
    f = x.astype(jnp.float32)
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(f), axis=-1, keepdims=True) + EPS)
    return (f * inverse * (1.0 + w.astype(jnp.float32))).astype(x.dtype)


def fp8_static(y, scale):
    return jnp.clip(y.astype(jnp.float32) / scale, -448.0, 448.0).astype(jnp.float8_e4m3fn)


def fp8_token(y):
    f = y.astype(jnp.float32)
    scale = jnp.maximum(jnp.max(jnp.abs(f), axis=-1, keepdims=True) / 448.0, 1e-12)
    return (f / scale).astype(jnp.float8_e4m3fn), scale


def nvfp4(y, g):
    groups = y.astype(jnp.float32).reshape(*y.shape[:-1], -1, 16)
    sf = (g * (jnp.max(jnp.abs(groups), axis=-1, keepdims=True) / 6.0)).astype(jnp.float8_e4m3fn)
    f = sf.astype(jnp.float32)
    codes = jnp.clip(jnp.where(f == 0, 0.0, groups * (g / f)), -6, 6)
    return codes.astype(jnp.float4_e2m1fn).reshape(y.shape), sf.reshape(*y.shape[:-1], -1)


# ---- One all-reduce with what follows: per-device functions for shard_map ----------------------------
# x [T, H / n] and down [H / n, H] are sharded, everything else is replicated.

SPECS = (P(None, "tp"), P("tp", None), P(), P(), P())


def _reduced(x, down, residual):
    return residual + jax.lax.psum(jnp.dot(x, down), "tp")


def step_plain(x, down, residual, w, scale):
    h = _reduced(x, down, residual)
    return h, rms_norm(h, w)


def step_gemma(x, down, residual, w, scale):
    h = _reduced(x, down, residual)
    return h, gemma_norm(h, w)


def step_fp8(x, down, residual, w, scale):
    h = _reduced(x, down, residual)
    y = rms_norm(h, w)
    return h, y, fp8_static(y, scale)


def step_fp8_token(x, down, residual, w, scale):
    h = _reduced(x, down, residual)
    y = rms_norm(h, w)
    return h, y, *fp8_token(y)


def step_nvfp4(x, down, residual, w, scale):
    h = _reduced(x, down, residual)
    y = rms_norm(h, w)
    return h, y, *nvfp4(y, scale)


STEPS = {"plain": step_plain, "gemma": step_gemma, "fp8": step_fp8, "fp8_token": step_fp8_token, "nvfp4": step_nvfp4}


def rows_step(quantise):
    """Sequence parallelism: each device has its block of the residual's rows, norm and codes are gathered."""

    def step(x, down, residual, w, scale):
        h = residual + jax.lax.psum_scatter(jnp.dot(x, down), "tp", tiled=True)
        y = rms_norm(h, w)
        return h, [jax.lax.all_gather(part, "tp", tiled=True) for part in (y, *quantise(y, scale))]

    return step


ROWS_STEPS = {"plain": rows_step(lambda y, scale: ()), "fp8": rows_step(lambda y, scale: (fp8_static(y, scale),)),
              "fp8_token": rows_step(lambda y, scale: fp8_token(y)), "nvfp4": rows_step(nvfp4)}


def sharded_by_rows(step, mesh):
    specs = (*SPECS[:2], P("tp"), *SPECS[3:])
    return jax.jit(jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=(P("tp"), P()), check_vma=False))


def sharded(step, mesh, **jit_options):
    return jax.jit(jax.shard_map(step, mesh=mesh, in_specs=SPECS, out_specs=P(), check_vma=False), **jit_options)


def step_inputs(seed=0, tokens=T, scale=0.03125):
    """Small integers: every rank's part and every partial sum is exact in bf16, so that the order of
    the all-reduce does not matter."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 2, (tokens, H)).astype(BF16)
    down = rng.integers(-1, 2, (H, H)).astype(BF16)
    residual = rng.integers(-8, 8, (tokens, H)).astype(BF16)
    w = (rng.integers(1, 16, H) / 8).astype(BF16)
    return x, down, residual, w, np.float32(scale)


# ---- A model ---------------------------------------------------------------------------------------


def model_parameters(layers, seed=1):
    rng = np.random.default_rng(seed)

    def small(*shape):
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(BF16)

    return {"layers": [{"o": small(H, H), "up": small(H, 2 * H), "down": small(2 * H, H),
                        "norm1": small(1, H)[0] + BF16(1), "norm2": small(1, H)[0] + BF16(1)} for _ in range(layers)]}


def model_specs(parameters):
    sharding = {"o": P("tp", None), "up": P(None, "tp"), "down": P("tp", None), "norm1": P(), "norm2": P()}
    return {"layers": [sharding for _ in parameters["layers"]]}


def model(parameters, x, residual):
    """Layers of (attention stand-in -> all-reduce -> norm -> MLP -> all-reduce -> norm)."""
    rank, size = jax.lax.axis_index("tp"), jax.lax.axis_size("tp")
    part = H // size
    for layer in parameters["layers"]:
        mine = jax.lax.dynamic_slice_in_dim(x, rank * part, part, axis=-1)
        residual = residual + jax.lax.psum(jnp.dot(mine, layer["o"]), "tp")
        x = rms_norm(residual, layer["norm1"])
        hidden = jax.nn.silu(jnp.dot(x, layer["up"]))
        residual = residual + jax.lax.psum(jnp.dot(hidden, layer["down"]), "tp")
        x = rms_norm(residual, layer["norm2"])
    return x, residual


def sharded_model(parameters, mesh, **jit_options):
    specs = (model_specs(parameters), P(), P())
    return jax.jit(jax.shard_map(model, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False), **jit_options)


# ---- Comparing ---------------------------------------------------------------------------------------


def on_cpu():
    return jax.default_backend() == "cpu"


def assert_same_norm(got, want):
    """Bit for bit on the CPU, whose reference adds as XLA does there; else within two ulps."""
    if on_cpu():
        np.testing.assert_array_equal(bits(got), bits(want))
    else:
        assert ulps(got, want) <= 2


def bits(array):
    """The array's elements as unsigned integers, for comparisons bit for bit."""
    array = np.asarray(array)
    return array.view(f"u{array.dtype.itemsize}")


def ulps(a, b):
    """The largest distance of two bf16 arrays, in units in the last place."""

    def order(x):
        u = np.asarray(x).view(np.int16).astype(np.int32)
        return np.where(u < 0, -(u & 0x7FFF), u)

    return int(np.max(np.abs(order(a) - order(b))))
