"""Writes a tensor-parallel Llama MLP block as StableHLO, and what JAX computes from it.

    python export_mlp.py --quant fp8 --tp 4 --tokens 16 --hidden 1024 -o jax_llama_mlp_fp8_tp4_t16_h1024.mlir
    python export_mlp.py ... --record DIR     also DIR/inputs.safetensors and DIR/results.safetensors

The blocks, as one rank sees them (wo: attention's output projection; N ranks):

    fp8, fp8tok  attn [T, H/N] @ wo [H/N, H] -> psum -> + residual -> RMSNorm -> quantise -> gate, up [H, I/N] -> silu(gate) * up
          -> down [I/N, H] -> psum -> + residual -> RMSNorm
          (fp8tok: XLA computes amax / 448 as amax * (1 / 448), so its scales and some codes are not those of the module)
    bf16  residual -> RMSNorm -> gate, up -> silu(gate) * up -> down -> psum -> + residual -> RMSNorm
    gemma residual -> RMSNorm with 1 + weight -> gate, up -> gelu(gate) * up -> down -> psum -> + residual, which is all (bf16)

Arguments carry their names in `fiar.name`, which fiarc gives to the parameters of the C function. Needs jax and
nothing else; the ranks are --tp devices of the CPU.
"""
import argparse
import json
import os
import re
import struct
import sys
from functools import partial


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quant", choices=["bf16", "gemma", "fp8", "fp8tok"], default="fp8")
    parser.add_argument("--tp", type=int, default=4, help="ranks")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--intermediate", type=int, help="2 * hidden if not given")
    parser.add_argument("--record", metavar="DIR", help="also write inputs and JAX's results there")
    parser.add_argument("--exact", action="store_true", help="record integer-valued inputs: every sum is exact")
    parser.add_argument("-o", metavar="FILE", default="-")
    return parser.parse_args()


OPTIONS = parse()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") +
                           f" --xla_force_host_platform_device_count={OPTIONS.tp}"
                           " --xla_allow_excess_precision=false")

import jax  # noqa: E402  (the flags come first)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh, PartitionSpec as P  # noqa: E402

EPS = 1e-6
FP8 = jnp.float8_e4m3fn
RESULTS = ["residual_out"] if OPTIONS.quant == "gemma" else ["norm", "residual_out"]


def rms_norm(x, weight):
    x32 = x.astype(jnp.float32)
    mean = jnp.mean(x32 * x32, axis=-1, keepdims=True)
    return (x32 * jax.lax.rsqrt(mean + EPS)).astype(x.dtype) * weight


def mlp_bf16(residual, norm_weight, next_norm_weight, w_gate, w_up, w_down):
    normed = rms_norm(residual, norm_weight)
    hidden = jax.nn.silu(normed @ w_gate) * (normed @ w_up)
    residual = residual + jax.lax.psum(hidden @ w_down, "tp")
    return rms_norm(residual, next_norm_weight), residual


def mlp_gemma(residual, norm_weight, w_gate, w_up, w_down):
    x32 = residual.astype(jnp.float32)
    mean = jnp.mean(x32 * x32, axis=-1, keepdims=True)
    normed = (x32 * jax.lax.rsqrt(mean + EPS) * (1 + norm_weight.astype(jnp.float32))).astype(residual.dtype)
    hidden = jax.nn.gelu(normed @ w_gate) * (normed @ w_up)
    return residual + jax.lax.psum(hidden @ w_down, "tp")


def quantise(normed, x_scale=None):
    """Codes of the norm and the scales that they were divided by: one for all with fp8, one a token with fp8tok."""
    normed = normed.astype(jnp.float32)
    if OPTIONS.quant == "fp8":
        return jnp.clip(normed / x_scale, -448.0, 448.0).astype(FP8), x_scale
    scales = jnp.maximum(jnp.max(jnp.abs(normed), axis=-1, keepdims=True) / 448.0, 1e-12)
    return (normed / scales).astype(FP8), scales


def mlp_fp8(attn, residual, norm_weight, next_norm_weight, *scales_and_weights):
    *x_scale, w_scale, wo, w_gate, w_up, w_down = scales_and_weights
    residual = residual + jax.lax.psum(attn @ wo, "tp")
    normed = rms_norm(residual, norm_weight)
    codes, scales = quantise(normed, *x_scale)
    dot = partial(jnp.dot, preferred_element_type=jnp.float32)
    gate = dot(codes, w_gate) * (scales * w_scale)
    up = dot(codes, w_up) * (scales * w_scale)
    hidden = (jax.nn.silu(gate) * up).astype(jnp.bfloat16)
    residual = residual + jax.lax.psum(hidden @ w_down, "tp")
    return rms_norm(residual, next_norm_weight), residual


def signature():
    """name -> (global shape, dtype, partition), in the order of the arguments."""
    t, h = OPTIONS.tokens, OPTIONS.hidden
    i = OPTIONS.intermediate or 2 * h
    bf16, f32 = jnp.bfloat16, jnp.float32
    code = bf16 if OPTIONS.quant in ("bf16", "gemma") else FP8
    rows = {"residual": ((t, h), bf16, P()), "norm_weight": ((h,), bf16, P()), "next_norm_weight": ((h,), bf16, P())}
    weights = {"w_gate": ((h, i), code, P(None, "tp")), "w_up": ((h, i), code, P(None, "tp")),
               "w_down": ((i, h), bf16, P("tp", None))}
    if OPTIONS.quant == "gemma":
        del rows["next_norm_weight"]
    if code == bf16:
        return {**rows, **weights}
    scales = {"x_scale": ((), f32, P()), "w_scale": ((), f32, P())}
    if OPTIONS.quant == "fp8tok":
        del scales["x_scale"]
    return {"attn": ((t, h), bf16, P(None, "tp")), **rows, **scales,
            "wo": ((h, h), bf16, P("tp", None)), **weights}


def values(name, shape, dtype):
    """Random data of a size that keeps every step in range; integers and powers of two with --exact."""
    rng = np.random.default_rng([len(name), *name.encode()])
    if name.endswith("_scale"):
        return np.float32({"x_scale": 2**-5, "w_scale": 2**-6}[name])
    if name.endswith("norm_weight"):
        data = 1 + 0.25 * rng.standard_normal(shape)
        data = np.exp2(rng.integers(-1, 2, shape)) if OPTIONS.exact else data
    elif OPTIONS.exact:
        data = rng.integers(-1, 2, shape)
    elif name.startswith("w"):
        data = rng.standard_normal(shape) / np.sqrt(shape[0])
        data = data * 64 if dtype == FP8 else data
    else:
        data = rng.standard_normal(shape)
    return jnp.asarray(data, jnp.float32).astype(dtype)


def safetensors(path, tensors):
    names = {jnp.dtype(jnp.bfloat16): "BF16", jnp.dtype(jnp.float32): "F32", jnp.dtype(FP8): "F8_E4M3"}
    header, blob = {}, b""
    for name, value in tensors.items():
        value = np.asarray(value, order="C")
        begin = len(blob)
        blob += value.tobytes()
        header[name] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": [begin, len(blob)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


def record(step, wanted):
    inputs = {name: values(name, shape, dtype) for name, (shape, dtype, _) in wanted.items()}
    os.makedirs(OPTIONS.record, exist_ok=True)
    safetensors(os.path.join(OPTIONS.record, "inputs.safetensors"), inputs)
    results = step(*inputs.values())
    results = dict(zip(RESULTS, results if len(RESULTS) > 1 else [results]))
    safetensors(os.path.join(OPTIONS.record, "results.safetensors"), results)


def named(text, names, results):
    """Gives the arguments and results of @main their names."""
    for i, name in enumerate(names):
        text = re.sub(rf"(%arg{i}: tensor<[^>]*>)( {{)?",
                      lambda m: f'{m[1]} {{fiar.name = "{name}"' + (", " if m[2] else "}"), text, count=1)
    for i, name in enumerate(results):
        place = "result" if len(results) == 1 else f"result[{i}]"
        text = text.replace(f'jax.result_info = "{place}"', f'fiar.name = "{name}", jax.result_info = "{place}"')
    return text


def main():
    wanted = signature()
    mesh = Mesh(np.array(jax.devices()[:OPTIONS.tp]), ("tp",))
    block = {"bf16": mlp_bf16, "gemma": mlp_gemma}.get(OPTIONS.quant, mlp_fp8)

    def mlp(*arguments):
        return block(*arguments)

    step = jax.jit(jax.shard_map(mlp, mesh=mesh, in_specs=tuple(p for _, _, p in wanted.values()),
                                 out_specs=P() if len(RESULTS) == 1 else (P(), P())))
    text = step.lower(*[jax.ShapeDtypeStruct(shape, dtype) for shape, dtype, _ in wanted.values()]).as_text()
    text = named(text, list(wanted), RESULTS)
    with sys.stdout if OPTIONS.o == "-" else open(OPTIONS.o, "w") as out:
        out.write(text)
    if OPTIONS.record:
        record(step, wanted)


main()
