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


def run(name, inputs, results, *options):
    safetensors(f"{folder}/inputs.safetensors", inputs)
    safetensors(f"{folder}/results.safetensors", results)
    return subprocess.run([f"{folder}/{name}", "--host", *options, "--inputs", f"{folder}/inputs.safetensors", "--expect",
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


STEP = """
func.func @step(%x: tensor<4x128xbf16>, %y: tensor<4x128xf4E2M1FN>, %ys: tensor<4x8xf8E4M3FN>, %w: tensor<160x128xf4E2M1FN>,
                %ws: tensor<160x8xf8E4M3FN>) -> (tensor<4x160xf32>, tensor<4x160xf32>) {
  %q:2 = "fiar.quantize"(%x) {group_size = 16 : i64, operandSegmentSizes = array<i32: 1, 0>, quant = "nvfp4",
    resultSegmentSizes = array<i32: 1, 1>, scale_is = "divisor", scale_layout = "linear", scale_min = 0.0 : f32,
    scale_type = "e4m3"} : (tensor<4x128xbf16>) -> (tensor<4x128xf4E2M1FN>, tensor<4x8xf8E4M3FN>)
  %0 = "fiar.matmul"(%q#0, %w, %q#1, %ws) {ATTRIBUTES} : (tensor<4x128xf4E2M1FN>, tensor<160x128xf4E2M1FN>, tensor<4x8xf8E4M3FN>,
    tensor<160x8xf8E4M3FN>) -> tensor<4x160xf32>
  %1 = "fiar.matmul"(%y, %w, %ys, %ws) {ATTRIBUTES} : (tensor<4x128xf4E2M1FN>, tensor<160x128xf4E2M1FN>, tensor<4x8xf8E4M3FN>,
    tensor<160x8xf8E4M3FN>) -> tensor<4x160xf32>
  return %0, %1 : tensor<4x160xf32>, tensor<4x160xf32>
}
""".replace("ATTRIBUTES", 'a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, '
            'block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>')


def step(tokens, k=128, n=160):
    """Scales of all three kinds (a quantiser's, a weight's, a caller's), more than one tile of 128 rows of each, tokens unlike
    the exported: rows that the quantiser turns into their codes and scales exactly."""
    blocks = k // 16
    def codes(rows):
        return [7 if i % 16 == 0 else rng.randrange(16) for i in range(rows * k)]  # 6 in each block: its scale is amax / 6

    def scales(rows):
        return [rng.choice((48, 56, 64)) for _ in range(rows * blocks)]  # 1/2, 1 and 2

    def values(code, scale):
        return [E2M1[c] * E4M3[scale[i // 16]] for i, c in enumerate(code)]

    a, w, sa, sw = codes(tokens), codes(n), scales(tokens), scales(n)
    x, y = values(a, sa), values(w, sw)
    product = [sum(x[i * k + c] * y[j * k + c] for c in range(k)) for i in range(tokens) for j in range(n)]
    tensors = {
        "x": ("BF16", [tokens, k], b"".join(struct.pack("<f", value)[2:] for value in x)),
        "y": ("F4", [tokens, k], packed(a)), "ys": ("F8_E4M3", [tokens, blocks], bytes(sa)),
        "w": ("F4", [n, k], packed(w)), "ws": ("F8_E4M3", [n, blocks], bytes(sw)),
    }
    tensors = {f"arg{i}": tensor for i, tensor in enumerate(tensors.values())}
    want = ("F32", [tokens, n], struct.pack(f"<{tokens * n}f", *product))
    with open(f"{folder}/step.mlir", "w", encoding="utf-8") as file:
        file.write(STEP)
    subprocess.run([fiarc, f"{folder}/step.mlir", "--max-tokens=200", "-o", f"{folder}/step"], check=True)
    results = {"result0": want, "result1": want}
    done = run("step", tensors, results, "--tokens", str(tokens))
    assert done.returncode == 0 and done.stdout.count(f": 0 of {tokens * n} values differ") == 2, (done.stdout, done.stderr)
    kind, shape, data = tensors["arg4"]
    other = run("step", {**tensors, "arg4": (kind, shape, data[:-1] + bytes([data[-1] ^ 8]))}, results, "--tokens", str(tokens))
    assert other.returncode != 0 and other.stdout.count(f": {tokens} of {tokens * n} values differ") == 2, (other.stdout, other.stderr)


os.makedirs(folder, exist_ok=True)
case("scaled_dot_mxfp8", False, 32, False, False)
case("scaled_matmul_mxfp8", False, 32, True, True)
case("scaled_matmul_nvfp4", True, 16, True, True)
step(130)
print("5 block-scaled products are exact")
