#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jax_step.py: what fiar gains a JAX program on GPUs, against XLA alone.

  step    all-reduce -> residual add -> RMSNorm -> static fp8: the time of a step on the devices, in a loop of
          many steps in one program; and `step once`, a program of one step, with its dispatch
  decode  one token of an 8-layer model with the layers of Llama-3-70B, tensor-parallel, fp8 weights: a program a
          token, several in flight; and `decode alone`, the same without all-reduces and what follows them

Prints a CSV line a point: microseconds a step (or a token) for XLA and for fiar, the medians of --repeats runs,
their ratio, and the mean difference of the results relative to their mean size. Run it in a checkout that is
built for the machine's GPUs; or `--record` on any machine, to put what fiar-opt gives for it into FIAR_REWRITE_CACHE.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import functools
import pathlib
import re
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import fiar.jax  # noqa: E402

EPS, UNROLL = 1e-5, 8
HIDDEN, FFN, HEADS, KV_HEADS, HEAD, LAYERS, CONTEXT = 8192, 28672, 64, 8, 128, 8, 1024
BF16, FP8 = jnp.bfloat16, jnp.float8_e4m3fn


def rms_norm(x, w):
    f = x.astype(jnp.float32)
    return (f * jax.lax.rsqrt(jnp.mean(f * f, axis=-1, keepdims=True) + EPS)).astype(x.dtype) * w


def to_fp8(y, scale):
    return jnp.clip(y.astype(jnp.float32) / scale, -448.0, 448.0).astype(FP8)


# ---- (a) the step ------------------------------------------------------------------------------------


def step(x, residual, w, scale):
    """The norm is the next step's partial sum."""
    residual = residual + jax.lax.psum(x, "tp")
    x = rms_norm(residual, w)
    return x, residual, to_fp8(x, scale)


def loop(turns, x, residual, w, scale):
    """turns * UNROLL steps. The codes of each are wanted."""

    def turn(_, carry):
        x, residual, _ = carry
        codes = []
        for _ in range(UNROLL):
            x, residual, code = step(x, residual, w, scale)
            codes.append(code)
        return x, residual, codes

    return jax.lax.fori_loop(0, turns, turn, (x, residual, [jnp.zeros(x.shape, FP8)] * UNROLL))


def step_case(mesh, tokens, hidden, once):
    turns = 100 if tokens <= 512 else 12
    body = step if once else functools.partial(loop, turns)
    run = jax.jit(jax.shard_map(body, mesh=mesh, in_specs=(P(),) * 4, out_specs=P(), check_vma=False))
    shapes = [((tokens, hidden), BF16), ((tokens, hidden), BF16), ((hidden,), BF16), ((), jnp.float32)]
    specs = [jax.ShapeDtypeStruct(s, d, sharding=NamedSharding(mesh, P())) for s, d in shapes]
    name = f"step once,{hidden},{tokens}" if once else f"step,{hidden},{tokens}"
    return Case(name, run, specs, 1 if once else turns * UNROLL, 20 if once else 1)


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


def reduced(part, residual, norm, scale):
    residual = residual + jax.lax.psum(part, "tp")
    return residual, to_fp8(rms_norm(residual, norm), scale)


def alone(part, residual, norm, scale):
    """In the place of reduced(): nothing that waits for other devices, next to no work."""
    return residual, (part * norm).astype(FP8)


def decode(after, x, residual, scale, layers):
    """x: the fp8 codes of the normalised input. Two all-reduces a layer, each with a norm and codes."""
    for p in layers:
        q, k, v = (matmul(x, p[n], scale) for n in ("q", "k", "v"))
        heads = to_fp8(attention(q, k, v, p["keys"], p["values"]), scale)
        residual, x = after(matmul(heads, p["o"], scale), residual, p["norm1"], scale)
        gated = jax.nn.silu(matmul(x, p["gate"], scale)) * matmul(x, p["up"], scale)
        residual, x = after(matmul(to_fp8(gated, scale), p["down"], scale), residual, p["norm2"], scale)
    return x, residual


def decode_case(mesh, batch, after):
    across, along, cache = P(None, "tp"), P("tp", None), P(None, None, "tp", None)
    shapes = {"q": ((HIDDEN, HEADS * HEAD), FP8, across), "k": ((HIDDEN, KV_HEADS * HEAD), FP8, across),
              "v": ((HIDDEN, KV_HEADS * HEAD), FP8, across), "o": ((HEADS * HEAD, HIDDEN), FP8, along),
              "gate": ((HIDDEN, FFN), FP8, across), "up": ((HIDDEN, FFN), FP8, across),
              "down": ((FFN, HIDDEN), FP8, along), "norm1": ((HIDDEN,), BF16, P()), "norm2": ((HIDDEN,), BF16, P()),
              "keys": ((batch, CONTEXT, KV_HEADS, HEAD), BF16, cache),
              "values": ((batch, CONTEXT, KV_HEADS, HEAD), BF16, cache)}
    specs = (P(), P(), P(), [{n: s for n, (_, _, s) in shapes.items()}] * LAYERS)
    run = jax.jit(jax.shard_map(functools.partial(decode, after), mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))

    def spec(shape, dtype, sharding=P()):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, sharding))

    layer = {n: spec(*s) for n, s in shapes.items()}
    specs = [spec((batch, HIDDEN), FP8), spec((batch, HIDDEN), BF16), spec((), jnp.float32), [layer] * LAYERS]
    return Case(f"{'decode alone' if after is alone else 'decode'},{HIDDEN},{batch}", run, specs, 1, 20)


# ---- Measuring ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    run: object
    specs: list
    steps: int  # in a call
    calls: int  # in flight


def cases(options, mesh):
    if "step" in options.what:
        for hidden in options.hidden:
            yield from (step_case(mesh, tokens, hidden, False) for tokens in options.tokens)
        yield from (step_case(mesh, tokens, options.hidden[0], True) for tokens in options.tokens if tokens <= 128)
    if "decode" in options.what:
        for batch in options.batch:
            yield decode_case(mesh, batch, reduced)
            yield decode_case(mesh, batch, alone)


@functools.cache
def draw(shape, dtype, sharding):
    return jax.jit(lambda key: (jax.random.normal(key, shape, BF16) * 0.02 + 0.03).astype(dtype), out_shardings=sharding)


def arrays(specs):
    """Arrays of small random numbers, made on their devices."""
    leaves, tree = jax.tree.flatten(specs)
    keys = jax.random.split(jax.random.key(0, impl="rbg"), len(leaves))
    return jax.tree.unflatten(tree, [draw(s.shape, s.dtype, s.sharding)(k) for k, s in zip(keys, leaves)])


def compiled(run, specs):
    return jax.jit(lambda *args: run(*args)).lower(*specs).compile()


def microseconds(run, inputs, calls, repeats):
    """Median over the repeats of the mean time of `calls` calls in flight."""
    jax.block_until_ready([run(*inputs) for _ in range(2)])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            out = run(*inputs)
        jax.block_until_ready(out)
        times.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times)


def difference(got, want):
    """The mean difference relative to the mean size, of the output that has most of it; codes are left out."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    scaled = [(np.asarray(g, np.float32), np.asarray(w, np.float32)) for g, w in pairs if g.dtype == BF16]
    return max(float(np.mean(np.abs(g - w)) / max(np.mean(np.abs(w)), 1e-9)) for g, w in scaled)


def calls_of(program):
    """The custom calls and collectives in a compiled program."""
    found = re.findall(r'custom_call_target="([^"]+)"|= [^=]*? (all-reduce(?:-start)?)\(', program.as_text())
    return dict(collections.Counter(a or b for a, b in found))


def measure(case, mesh, options, pool):
    fused = fiar.jax.fuse(case.run) if not case.name.startswith("decode alone") else None
    programs = [pool.submit(compiled, f, case.specs) for f in (case.run, fused) if f is not None]
    inputs = arrays(case.specs)
    programs = [p.result() for p in programs]
    if options.verbose:
        print(f"# {case.name}: " + "; ".join(str(calls_of(p)) for p in programs), flush=True)
    times = [microseconds(p, inputs, case.calls, options.repeats) / case.steps for p in programs]
    line = f"{case.name},{mesh.size},{times[0]:.2f}"
    if fused is not None:
        apart = difference(programs[1](*inputs), programs[0](*inputs))
        line += f",{times[1]:.2f},{times[0] / times[1]:.2f},{apart:.2g}"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="step, decode; default: both")
    parser.add_argument("--devices", type=int, default=len(jax.devices()))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="*", default=[4096, 8192], help="of step")
    parser.add_argument("--tokens", type=int, nargs="*", default=[1, 16, 64, 128, 512, 2048, 8192], help="of step")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8, 64], help="of decode")
    parser.add_argument("--verbose", action="store_true", help="also what XLA made of each program")
    parser.add_argument("--record", action="store_true", help="run nothing; record the rewrites for CUDA")
    options = parser.parse_args()
    options.what = options.what or ["step", "decode"]
    if set(options.what) - {"step", "decode"}:
        parser.error(f"what is {' '.join(options.what)}, must be step or decode")
    mesh = Mesh(np.array(jax.devices()[:options.devices]), ("tp",))
    if options.record:
        for case in cases(options, mesh):
            print(case.name, fiar.jax.record(case.run, *case.specs, platform="cuda").fused, "fused")
        return
    print("case,hidden,tokens,ranks,xla_us,fiar_us,ratio,difference", flush=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for case in cases(options, mesh):
            measure(case, mesh, options, pool)


if __name__ == "__main__":
    main()
