#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jax_step.py: what fiar gains a JAX program on GPUs, against XLA alone.

  step    all-reduce -> residual add -> RMSNorm -> static fp8, with residual, norm and codes wanted: the time of a
          step on the devices, in a loop of many steps in one program
  rows    the same with the residual sharded by rows: reduce-scatter -> ... -> all-gathers of norm and codes
  once    step in a program of one step, with its dispatch; several in flight
  decode  one token a sequence of an 8-layer model with the layers of Llama-3-70B, tensor-parallel, fp8 weights, a
          cache of 1024 positions that is updated in place: a program a token, several in flight, or, with --turns, a
          program of so many tokens in a loop, which leaves the host's pace out; with --parts also
          `decode alone`, the same without all-reduces and what follows them, and `decode matmuls`, without attention too

Prints a CSV line a point: microseconds a step (or a token) for XLA and for fiar, the medians of --repeats runs,
their ratio, and the mean difference of the results relative to their mean size. Run it in a checkout that is
built for the machine's GPUs; or `--record` on any machine, to put what fiar-opt gives for it into FIAR_REWRITE_CACHE.
"""
import argparse
import collections
import dataclasses
import functools
import pathlib
import re
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import fiar.jax  # noqa: E402

EPS = 1e-5
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


def rows_step(x, residual, w, scale):
    """The residual sharded by rows."""
    residual = residual + jax.lax.psum_scatter(x, "tp", tiled=True)
    rows = rms_norm(residual, w)
    x, codes = (jax.lax.all_gather(part, "tp", tiled=True) for part in (rows, to_fp8(rows, scale)))
    return x, residual, codes


def loop(step, turns, unroll, x, residual, w, scale):
    """turns * unroll steps. The codes of each are wanted."""

    def turn(_, carry):
        x, residual, _ = carry
        codes = []
        for _ in range(unroll):
            x, residual, code = step(x, residual, w, scale)
            codes.append(code)
        return x, residual, codes

    return jax.lax.fori_loop(0, turns, turn, (x, residual, [jnp.zeros(x.shape, FP8)] * unroll))


def step_case(mesh, tokens, hidden, unroll, what="step"):
    turns, once = (800 if tokens <= 512 else 96) // unroll, what == "once"
    body = step if once else functools.partial(loop, rows_step if what == "rows" else step, turns, unroll)
    residual = P("tp" if what == "rows" else None)
    run = jax.jit(jax.shard_map(body, mesh=mesh, in_specs=(P(), residual, P(), P()), out_specs=(P(), residual, P()),
                                check_vma=False))
    shapes = [((tokens, hidden), BF16), ((tokens, hidden), BF16), ((hidden,), BF16), ((), jnp.float32)]
    specs = [jax.ShapeDtypeStruct(s, d, sharding=NamedSharding(mesh, P())) for s, d in shapes]
    name = f"{'step once' if once else what},{hidden},{tokens}"
    return Case(name, run, specs, 1 if once else turns * unroll, 20 if once else 1)


# ---- (b) decoding ------------------------------------------------------------------------------------


def matmul_any(x, w, scale):
    """x [rows, k], w [n, k]: a matmul of fp8 codes, its result scaled. w [k, n] would be transposed for every token:
    fp8 tensor cores want both operands by rows of k."""
    y = jax.lax.dot_general(x, w, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
    return (y * scale * scale).astype(BF16)


def matmul_cublas(x, w, scale):
    """The same in the form that XLA gives to cuBLASLt whole, scales included. It needs
    --xla_gpu_enable_triton_gemm=false: for Triton, XLA would multiply out the weights for every token."""
    x, w = (a.astype(BF16) * scale.astype(BF16) for a in (x, w))
    return jax.lax.dot_general(x, w, (((1,), (1,)), ((), ())))


def attention(qkv, cache, position):
    """qkv [batch, (queries + 2) * local kv heads * HEAD], cache two of [batch, local kv heads, CONTEXT, HEAD]."""
    batch, kv_heads = cache[0].shape[:2]
    q, k, v = jnp.split(qkv.reshape(batch, -1, HEAD), [qkv.shape[1] // HEAD - 2 * kv_heads, -kv_heads], axis=1)
    cache = [jax.lax.dynamic_update_slice(c, new[:, :, None], (0, 0, position, 0)) for c, new in zip(cache, (k, v))]
    scores = jnp.einsum("bkqd,bktd->bkqt", q.reshape(batch, kv_heads, -1, HEAD), cache[0])
    scores = jnp.where(jnp.arange(CONTEXT) <= position, scores.astype(jnp.float32) / np.sqrt(HEAD), -jnp.inf)
    out = jnp.einsum("bkqt,bktd->bkqd", jax.nn.softmax(scores).astype(BF16), cache[1])
    return out.reshape(batch, -1), cache


def queries(qkv, cache, position):
    """In the place of attention(): next to no work."""
    return qkv[:, :qkv.shape[1] - 2 * cache[0].shape[1] * HEAD], cache


def reduced(part, residual, norm, scale):
    residual = residual + jax.lax.psum(part, "tp")
    return residual, to_fp8(rms_norm(residual, norm), scale)


def alone(part, residual, norm, scale):
    """In the place of reduced(): nothing that waits for other devices, next to no work."""
    return residual, (part * norm).astype(FP8)


DECODES = {"decode": (reduced, attention), "decode alone": (alone, attention), "decode matmuls": (alone, queries)}


def decode(matmul, after, attend, x, residual, scale, position, layers, caches):
    """x: the fp8 codes of the normalised input. Two all-reduces a layer, each with a norm and codes. Rows past the
    batch are there for matmuls that take multiples of 16."""
    rows, batch, new = x.shape[0], caches[0][0].shape[0], []
    for p, cache in zip(layers, caches):
        heads, cache = attend(matmul(x, p["qkv"], scale)[:batch], cache, position)
        new.append(cache)
        heads = jnp.pad(to_fp8(heads, scale), ((0, rows - batch), (0, 0)))
        residual, x = after(matmul(heads, p["o"], scale), residual, p["norm1"], scale)
        gate, up = jnp.split(matmul(x, p["gate_up"], scale), 2, axis=1)
        gated = to_fp8(jax.nn.silu(gate) * up, scale)
        residual, x = after(matmul(gated, p["down"], scale), residual, p["norm2"], scale)
    return x, residual, new


def decode_tokens(turns, body, x, residual, scale, position, layers, caches):
    """A token's codes and residual are the next one's."""
    return jax.lax.fori_loop(0, turns, lambda _, carry: body(*carry[:2], scale, position, layers, carry[2]),
                             (x, residual, caches))


def decode_case(mesh, batch, cublas, name, turns=1):
    matmul, rows = (matmul_cublas, -(-batch // 16) * 16) if cublas else (matmul_any, batch)
    across, along = P("tp", None), P(None, "tp")  # weights are [n, k]; each device has its rows, or its columns
    shapes = {"qkv": (((HEADS + 2 * KV_HEADS) * HEAD, HIDDEN), FP8, across), "o": ((HIDDEN, HEADS * HEAD), FP8, along),
              "gate_up": ((2 * FFN, HIDDEN), FP8, across), "down": ((HIDDEN, FFN), FP8, along),
              "norm1": ((HIDDEN,), BF16, P()), "norm2": ((HIDDEN,), BF16, P())}
    cache = P(None, "tp")
    specs = (P(), P(), P(), P(), [{n: s for n, (_, _, s) in shapes.items()}] * LAYERS, [[cache, cache]] * LAYERS)
    body = functools.partial(decode, matmul, *DECODES[name])
    body = functools.partial(decode_tokens, turns, body) if turns > 1 else body
    run = jax.jit(jax.shard_map(body, mesh=mesh, in_specs=specs, out_specs=(P(), P(), specs[-1]), check_vma=False))

    def spec(shape, dtype, sharding=P()):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, sharding))

    layer = {n: spec(*s) for n, s in shapes.items()}
    caches = [spec((batch, KV_HEADS, CONTEXT, HEAD), BF16, cache)] * 2
    specs = [spec((rows, HIDDEN), FP8), spec((rows, HIDDEN), BF16), spec((), jnp.float32), spec((), jnp.int32),
             [layer] * LAYERS, [caches] * LAYERS]
    return Case(f"{name},{HIDDEN},{batch}", run, specs, turns, max(20 // turns, 1), donated=True, part=name != "decode")


# ---- Measuring ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    run: object
    specs: list
    steps: int  # in a call
    calls: int  # in flight
    donated: bool = False  # the last argument, in whose place the last result comes
    part: bool = False  # of a program: nothing to fuse


def cases(options, mesh):
    for what in ("step", "rows", "once"):
        if what in options.what:
            yield from (step_case(mesh, tokens, hidden, 1 if what == "once" else options.unroll, what)
                        for hidden in options.hidden for tokens in options.tokens
                        if what != "rows" or tokens % mesh.size == 0)
    if "decode" in options.what:
        for batch in options.batch:
            yield from (decode_case(mesh, batch, options.cublas, name, options.turns)
                        for name in DECODES if options.parts or name == "decode")


@functools.cache
def draw(shape, dtype, sharding):
    """Small random numbers; a scale, and the last position of the cache."""

    def make(key):
        if shape == ():
            return jnp.array({"float32": 0.05, "int32": CONTEXT - 1}[dtype.name], dtype)
        return (jax.random.normal(key, shape, BF16) * 0.02 + 0.03).astype(dtype)

    return jax.jit(make, out_shardings=sharding)


def arrays(specs):
    """The same arrays for the same specs, made on their devices."""
    leaves, tree = jax.tree.flatten(specs)
    keys = jax.random.split(jax.random.key(0, impl="rbg"), len(leaves))
    return jax.tree.unflatten(tree, [draw(s.shape, s.dtype, s.sharding)(k) for k, s in zip(keys, leaves)])


def compiled(run, case):
    donated = (len(case.specs) - 1,) if case.donated else ()
    return jax.jit(lambda *args: run(*args), donate_argnums=donated).lower(*case.specs).compile()


class Running:
    """A compiled case and its arguments; call() gives the results but the donated one, which is passed on."""

    def __init__(self, program, case):
        self.program, self.case, self.inputs = program, case, arrays(case.specs)
        jax.block_until_ready([self.call() for _ in range(2)])

    def call(self):
        out = self.program(*self.inputs)
        if self.case.donated:
            self.inputs[-1], out = out[-1], out[:-1]
        return out

    def microseconds(self, repeats):
        """Median over the repeats of the mean time of case.calls calls in flight, a step."""
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(self.case.calls):
                out = self.call()
            jax.block_until_ready(out)
            times.append((time.perf_counter() - start) / self.case.calls * 1e6)
        return statistics.median(times) / self.case.steps


KERNELS = {"all-reduce": r"nccl", "fiar": r"oneshot|twoshot|sharded|norm_quant", "matmul": r"gemm|nvjet|cutlass|xmma|cublas"}


def profile(running, calls=5):
    """Microseconds a call that the kernels of each kind take on the first GPU, with their number, from JAX's profiler.
    It sees those in command buffers only where CUPTI traces graphs by nodes: better switch them off."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready([running.call() for _ in range(calls)])
        found = collections.defaultdict(list)
        for file in pathlib.Path(folder).rglob("*.xplane.pb"):
            for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
                lines = plane.lines if plane.name == "/device:GPU:0" else []
                for event in (e for line in lines if line.name.startswith("Stream") for e in line.events):
                    kind = next((k for k, names in KERNELS.items() if re.search(names, event.name)), "other")
                    found[kind].append(event.duration_ns / 1e3 / calls)
    return ", ".join(f"{k} {sum(t):.0f} us ({len(t) / calls:.0f})" for k, t in found.items()) or "saw no kernels"


def difference(got, want):
    """The mean difference relative to the mean size, of the output that has most of it; codes are left out."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    scaled = [(np.asarray(g, np.float32), np.asarray(w, np.float32)) for g, w in pairs if g.dtype == BF16]
    return max(float(np.mean(np.abs(g - w)) / max(np.mean(np.abs(w)), 1e-9)) for g, w in scaled)


def calls_of(program):
    """How often a compiled program, loops taken once, has what takes time in it."""
    found = re.findall(r'custom_call_target="([^"]+)"|= [^=]*? (all-reduce(?:-start)?|fusion|copy)\(', program.as_text())
    return dict(collections.Counter(a or b for a, b in found))


def measure(case, mesh, options):
    """XLA first: what its autotuner finds for the matmuls holds for both."""
    functions = [case.run] if case.part else [case.run, fiar.jax.fuse(case.run)]
    times, outs = [], []
    for name, function in zip(("XLA", "fiar"), functions):
        running = Running(compiled(function, case), case)
        if options.verbose:
            print(f"# {case.name} {name}: {calls_of(running.program)}", flush=True)
        times.append(running.microseconds(options.repeats))
        if options.profile:
            print(f"# {case.name} {name} profile: {profile(running)}", flush=True)
        outs.append(jax.device_get(running.call()))
    line = f"{case.name},{mesh.size},{times[0]:.2f}"
    if len(times) > 1:
        line += f",{times[1]:.2f},{times[0] / times[1]:.2f},{difference(*reversed(outs)):.2g}"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="step, rows, once, decode; default: all")
    parser.add_argument("--devices", type=int, default=len(jax.devices()))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="*", default=[4096, 8192], help="of step, rows and once")
    parser.add_argument("--tokens", type=int, nargs="*", default=[1, 16, 64, 128, 512, 2048, 8192], help="of step, rows and once")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8, 64], help="of decode")
    parser.add_argument("--unroll", type=int, default=8, help="of step and rows: steps in a turn of the loop")
    parser.add_argument("--turns", type=int, default=1, help="of decode: tokens in a program")
    parser.add_argument("--cublas", action="store_true", help="of decode: matmuls as cuBLASLt takes them; with "
                        "XLA_FLAGS=--xla_gpu_enable_triton_gemm=false")
    parser.add_argument("--parts", action="store_true", help="of decode: also the parts of it that need no other device")
    parser.add_argument("--profile", action="store_true", help="also the time of each kind of kernel")
    parser.add_argument("--verbose", action="store_true", help="also what XLA made of each program")
    parser.add_argument("--record", action="store_true", help="run nothing; record the rewrites for CUDA")
    options = parser.parse_args()
    every = ["step", "rows", "once", "decode"]
    options.what = options.what or every
    if set(options.what) - set(every):
        parser.error(f"what is {' '.join(options.what)}, must be of {', '.join(every)}")
    mesh = Mesh(np.array(jax.devices()[:options.devices]), ("tp",))
    if options.record:
        for case in cases(options, mesh):
            if not case.part:
                print(case.name, fiar.jax.record(case.run, *case.specs, platform="cuda").fused, "fused")
        return
    print("case,hidden,tokens,ranks,xla_us,fiar_us,ratio,difference", flush=True)
    for case in cases(options, mesh):
        measure(case, mesh, options)


if __name__ == "__main__":
    main()
