# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A tensor-parallel block in JAX, with its all-reduce, residual add, RMSNorm and fp8 codes as one call.

On a machine without GPUs, run it on four devices of the CPU:
  JAX_PLATFORMS=cpu XLA_FLAGS=--xla_force_host_platform_device_count=4 python examples/jax/fuse_block.py
"""
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec as P

import fiar.jax

TOKENS, HIDDEN, EPS = 16, 1024, 1e-6


def block(x, down, residual, weight, scale):
    """Runs on each device: x and down are its parts, the others are whole."""
    residual = residual + jax.lax.psum(x @ down, "tp")
    f = residual.astype(jnp.float32)
    norm = (f * jax.lax.rsqrt(jnp.mean(f * f, axis=-1, keepdims=True) + EPS)).astype(x.dtype) * weight
    codes = jnp.clip(norm.astype(jnp.float32) / scale, -448.0, 448.0).astype(jnp.float8_e4m3fn)
    return residual, norm, codes


def main():
    mesh = Mesh(np.array(jax.devices()), ("tp",))
    specs = (P(None, "tp"), P("tp", None), P(), P(), P())
    unfused = jax.jit(jax.shard_map(block, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))

    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (TOKENS, HIDDEN)).astype(jnp.bfloat16)
    down = (rng.random((HIDDEN, HIDDEN)) < 0.05).astype(jnp.bfloat16)
    residual = rng.integers(-8, 9, (TOKENS, HIDDEN)).astype(jnp.bfloat16)
    inputs = (x, down, residual, np.full(HIDDEN, 1.5, jnp.bfloat16), np.float32(0.02))

    print(fiar.jax.report(unfused, *inputs))
    fused = fiar.jax.fuse(unfused)
    got, want = fused(*inputs), unfused(*inputs)
    for name, g, w in zip(("residual", "norm", "codes"), got, want):
        g, w = np.asarray(g, np.float32), np.asarray(w, np.float32)
        print(f"{name}: {np.sum(g != w)} of {g.size} elements differ from XLA's")


if __name__ == "__main__":
    main()
