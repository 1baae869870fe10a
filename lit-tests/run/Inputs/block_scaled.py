"""block_scaled.py FIARC FOLDER MODULES: block-scaled products as JAX exports them, compiled and run on the host: exact values by hand.

Codes and scales are random bytes whose products' sums are exact in f32 (small exponents). One code changed must show.
"""
import json
import os
import random
import struct
import subprocess
import sys

fiarc, folder, modules = sys.argv[1:]
M, N, K = 8, 16, 64
E4M3 = [(-1) ** (c >> 7) * (((c & 7) + 8) * 2.0 ** ((c >> 3 & 15) - 10) if c >> 3 & 15 else (c & 7) * 2.0 ** -9) for c in range(256)]
E2M1 = [sign * value for sign in (1, -1) for value in (0, 0.5, 1, 1.5, 2, 3, 4, 6)]
rng = random.Random(11)


def safetensors(path, tensors):
    header, blob = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


def packed(codes):
    return bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2]))


def run(name, inputs, results):
    safetensors(f"{folder}/inputs.safetensors", inputs)
    safetensors(f"{folder}/results.safetensors", results)
    return subprocess.run([f"{folder}/{name}", "--host", "--inputs", f"{folder}/inputs.safetensors", "--expect",
                           f"{folder}/results.safetensors", "--max-ulps", "0"], capture_output=True, text=True, check=False)


def case(name, fp4, block, batch, b_rows):
    """b_rows: b is [N, K] and its scales [N, K / block]; else both the other way round."""
    wide, at = (E2M1, 16) if fp4 else (E4M3, 256)
    code = (lambda: rng.randrange(at)) if fp4 else (lambda: rng.randrange(48, 72) | rng.randrange(2) << 7)
    scale = (lambda: rng.randrange(48, 72)) if fp4 else (lambda: rng.randrange(124, 131))
    value = E4M3.__getitem__ if fp4 else lambda byte: 2.0 ** (byte - 127)
    blocks = K // block
    a, b = [code() for _ in range(M * K)], [code() for _ in range(N * K)]
    sa, sb = [scale() for _ in range(M * blocks)], [scale() for _ in range(N * blocks)]
    product = [sum(wide[a[i * K + x]] * value(sa[i * blocks + x // block]) * wide[b[j * K + x]] * value(sb[j * blocks + x // block])
                   for x in range(K)) for i in range(M) for j in range(N)]
    turned = (lambda rows, cols, of: of) if b_rows else lambda rows, cols, of: [of[r * cols + c] for c in range(cols) for r in range(rows)]
    lead, kinds = ([1] if batch else []), (("F4", "F8_E4M3") if fp4 else ("F8_E4M3", "F8_E8M0"))
    pack = packed if fp4 else bytes
    tensors = {
        "arg0": (kinds[0], [*lead, M, K], pack(a)),
        "arg1": (kinds[0], [*lead, *((N, K) if b_rows else (K, N))], pack(turned(N, K, b))),
        "arg2": (kinds[1], [*lead, M, blocks], bytes(sa)),
        "arg3": (kinds[1], [*lead, *((N, blocks) if b_rows else (blocks, N))], bytes(turned(N, blocks, sb))),
    }
    results = {"result0": ("F32", [*lead, M, N], struct.pack(f"<{M * N}f", *product))}
    subprocess.run([fiarc, f"{modules}/jax_{name}.mlir", "-o", f"{folder}/{name}"], check=True)
    done = run(name, tensors, results)
    assert done.returncode == 0 and f": 0 of {M * N} values differ" in done.stdout, (name, done.stdout, done.stderr)
    kind, shape, data = tensors["arg3"]
    other = run(name, {**tensors, "arg3": (kind, shape, bytes([data[0] ^ 8]) + data[1:])}, results)
    assert other.returncode != 0 and f": {M} of {M * N} values differ" in other.stdout, (name, other.stdout, other.stderr)


os.makedirs(folder, exist_ok=True)
case("scaled_dot_mxfp8", False, 32, False, False)
case("scaled_matmul_mxfp8", False, 32, True, True)
case("scaled_matmul_nvfp4", True, 16, True, True)
print("3 block-scaled products are exact")
