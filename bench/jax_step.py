#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jax_step.py: what fiar gains a JAX program on GPUs, against XLA alone.

  step    all-reduce -> residual add -> RMSNorm -> static fp8, chained 40 times in one program
  decode  one token of an 8-layer model with the layers of Llama-3-70B, tensor-parallel, fp8 weights

Prints a CSV line a point: microseconds a step (or a token) for XLA and for fiar, the medians of
--repeats runs, and their ratio. Run it in a checkout that is built for the machine's GPUs.
"""
import argparse
import functools
import pathlib
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import fiar.jax  # noqa: E402

EPS, CHAIN = 1e-5, 40
HIDDEN, FFN, HEADS, KV_HEADS, HEAD, LAYERS, CONTEXT = 8192, 28672, 64, 8, 128, 8, 1024
BF16, FP8 = jnp.bfloat16, jnp.float8_e4m3fn


def rms_norm(x, w):
    f = x.astype(jnp.float32)
    return (f * jax.lax.rsqrt(jnp.mean(f * f, axis=-1, keepdims=True) + EPS)).astype(x.dtype) * w


def to_fp8(y, scale):
    return jnp.clip(y.astype(jnp.float32) / scale, -448.0, 448.0).astype(FP8)


# ---- (a) the step ------------------------------------------------------------------------------------


def chain(x, residual, w, scale):
    """Each step's norm is the next step's partial sum; every step's codes are wanted."""
    codes = []
    for _ in range(CHAIN):
        residual = residual + jax.lax.psum(x, "tp")
        x = rms_norm(residual, w)
        codes.append(to_fp8(x, scale))
    return x, codes


def step_case(mesh, tokens, hidden):
    specs = (P(), P(), P(), P())
    run = jax.jit(jax.shard_map(chain, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))
    shapes = [((tokens, hidden), BF16), ((tokens, hidden), BF16), ((hidden,), BF16), ((), jnp.float32)]
    return run, [jax.ShapeDtypeStruct(s, d, sharding=NamedSharding(mesh, P())) for s, d in shapes], CHAIN


# ---- (b) decoding ------------------------------------------------------------------------------------


def matmul(x, w, scale):
    """fp8 x fp8 -> bf16, which XLA gives to cuBLASLt with the product of the scales."""
    y = jax.lax.dot(x, w, preferred_element_type=jnp.float32)
    return (y * scale).astype(BF16)


def attention(q, k, v, keys, values):
    batch = q.shape[0]
    q = q.reshape(batch, -1, HEADS // KV_HEADS, HEAD)  # local kv heads x queries of each
    keys = jnp.concatenate([keys, k.reshape(batch, 1, -1, HEAD)], axis=1)
    values = jnp.concatenate([values, v.reshape(batch, 1, -1, HEAD)], axis=1)
    scores = jnp.einsum("bkqd,btkd->bkqt", q, keys).astype(jnp.float32) / np.sqrt(HEAD)
    out = jnp.einsum("bkqt,btkd->bkqd", jax.nn.softmax(scores).astype(BF16), values)
    return out.reshape(batch, -1)


def decode(x, residual, scale, layers):
    """x: the fp8 codes of the normalised input. Two all-reduces a layer, each with a norm and codes."""
    for p in layers:
        q, k, v = (matmul(x, p[n], scale) for n in ("q", "k", "v"))
        heads = to_fp8(attention(q, k, v, p["keys"], p["values"]), scale)
        residual = residual + jax.lax.psum(matmul(heads, p["o"], scale), "tp")
        x = to_fp8(rms_norm(residual, p["norm1"]), scale)
        gated = jax.nn.silu(matmul(x, p["gate"], scale)) * matmul(x, p["up"], scale)
        residual = residual + jax.lax.psum(matmul(to_fp8(gated, scale), p["down"], scale), "tp")
        x = to_fp8(rms_norm(residual, p["norm2"]), scale)
    return x, residual


def decode_case(mesh, batch):
    across, along, cache = P(None, "tp"), P("tp", None), P(None, None, "tp", None)
    shapes = {"q": ((HIDDEN, HEADS * HEAD), FP8, across), "k": ((HIDDEN, KV_HEADS * HEAD), FP8, across),
              "v": ((HIDDEN, KV_HEADS * HEAD), FP8, across), "o": ((HEADS * HEAD, HIDDEN), FP8, along),
              "gate": ((HIDDEN, FFN), FP8, across), "up": ((HIDDEN, FFN), FP8, across),
              "down": ((FFN, HIDDEN), FP8, along), "norm1": ((HIDDEN,), BF16, P()), "norm2": ((HIDDEN,), BF16, P()),
              "keys": ((batch, CONTEXT, KV_HEADS, HEAD), BF16, cache),
              "values": ((batch, CONTEXT, KV_HEADS, HEAD), BF16, cache)}
    specs = (P(), P(), P(), [{n: s for n, (_, _, s) in shapes.items()}] * LAYERS)
    run = jax.jit(jax.shard_map(decode, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))

    def spec(shape, dtype, sharding=P()):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, sharding))

    layer = {n: spec(*s) for n, s in shapes.items()}
    return run, [spec((batch, HIDDEN), FP8), spec((batch, HIDDEN), BF16), spec((), jnp.float32), [layer] * LAYERS], 1


# ---- Measuring ---------------------------------------------------------------------------------------


def arrays(specs):
    """Arrays of small random numbers, made on their devices."""

    def make(key, spec):
        draw = jax.jit(lambda k: (jax.random.normal(k, spec.shape, BF16) * 0.02 + 0.03).astype(spec.dtype),
                       out_shardings=spec.sharding)
        return draw(key)

    leaves, tree = jax.tree.flatten(specs)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    return jax.tree.unflatten(tree, [make(k, s) for k, s in zip(keys, leaves)])


def microseconds(run, inputs, calls, repeats):
    """Median over the repeats of the mean time of `calls` calls in flight."""
    jax.block_until_ready([run(*inputs) for _ in range(3)])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            out = run(*inputs)
        jax.block_until_ready(out)
        times.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times)


def same(got, want):
    """The largest difference relative to the largest value, over all outputs."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    scaled = [(np.asarray(g, np.float32), np.asarray(w, np.float32)) for g, w in pairs]
    return max(float(np.max(np.abs(g - w)) / max(np.max(np.abs(w)), 1e-9)) for g, w in scaled)


def cases(which, mesh):
    if which == "step":
        for hidden in (4096, 8192):
            for tokens in (1, 16, 64, 128, 512, 2048, 8192):
                yield f"step,{hidden},{tokens}", functools.partial(step_case, mesh, tokens, hidden)
    else:
        for batch in (1, 8, 64):
            yield f"decode,{HIDDEN},{batch}", functools.partial(decode_case, mesh, batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["step", "decode"], choices=["step", "decode"])
    parser.add_argument("--devices", type=int, default=len(jax.devices()))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10, help="calls in flight before each wait")
    options = parser.parse_args()
    mesh = Mesh(np.array(jax.devices()[:options.devices]), ("tp",))
    print("case,hidden,tokens,ranks,xla_us,fiar_us,ratio,largest_difference", flush=True)
    for what in options.what:
        for name, case in cases(what, mesh):
            run, specs, steps = case()
            inputs, fused = arrays(specs), fiar.jax.fuse(run)
            difference = same(fused(*inputs), run(*inputs))
            xla, ours = (microseconds(f, inputs, options.calls, options.repeats) / steps for f in (run, fused))
            print(f"{name},{options.devices},{xla:.2f},{ours:.2f},{xla / ours:.2f},{difference:.2g}", flush=True)


if __name__ == "__main__":
    main()
