#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""seeds.py SOURCE OUT: the fuzzers' first inputs. OUT/text: every module of the lit tests, of what their generators print,
of the examples, and of $FIAR_SHARED/ir (or ../shared/ir beside the checkout) where it is. OUT/params: a call of every
format, dtype, scale type and layout, at the byte offsets that fuzz_params.c has."""
import glob
import itertools
import os
import struct
import subprocess
import sys

LONGEST = 1 << 16
source, out = sys.argv[1:]
texts = []


def add(text):
    for module in text.split("// -----"):
        if module.strip() and len(module) < LONGEST:
            texts.append(module.strip("\n") + "\n")


def script(*words):
    done = subprocess.run([sys.executable, *words], cwd=source, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    add(done.stdout)


shared = os.environ.get("FIAR_SHARED") or os.path.join(source, "..", "shared")
for pattern in ("lit-tests/**/*.mlir", "examples/**/*.mlir", os.path.join(shared, "ir/**/*.mlir")):
    for path in sorted(glob.glob(os.path.join(source, pattern), recursive=True)):
        add(open(path, encoding="utf-8").read())
script("lit-tests/fuse/Inputs/variants.py", "print", "60")
script("lit-tests/fuse/Inputs/structures.py", "print")
script("lit-tests/fuse/Inputs/refusals.py", "print")
for which in ("accepted", "refused"):
    script("lit-tests/shard/Inputs/chains.py", which)
for norm, quant in itertools.product(("llama", "gemma", "torch"), ("none", "fp8", "fp8_token", "nvfp4")):
    script("bench/make_model.py", f"--norm={norm}", f"--quant={quant}", "--world=2", "--tokens=3", "--hidden=64", "--layers=2")


def call(world, what, tokens, hidden, group, dtype, quant, layout, scale_type, residual_layout, flags):
    fields = struct.pack("<qqqqfffi", tokens, hidden, 0, 0, 1e-6, 0.0, 0.0, group)
    small = bytes([dtype, dtype, quant, layout, scale_type, flags & 1, flags >> 1 & 1, flags >> 2 & 1, residual_layout])
    return bytes([world, 144, *what]) + fields + small + bytes(7) + bytes(range(1, 64))


# Of each format of quant_formats.def: the scale types that it has, and its group size.
FORMATS = {0: ([0], 0), 1: ([0], 0), 2: ([0], 0), 3: ([0, 2], 32), 4: ([1], 0), 5: ([2], 0), 6: ([2], 0)}
calls = []
for quant, (types, group) in FORMATS.items():
    for scale_type, layout, dtype, residual in itertools.product(types, range(4), (1, 2, 3), range(3)):
        what = [1, 1, 1, int(quant in (1, 4)), 1, 1, 1, int(quant > 0), int(quant > 1)]
        tokens = 12 if residual == 2 else 5  # blocks of rows are as many on every rank
        calls.append(call(len(calls) % 5, what, tokens, 64, group, dtype, quant, layout, scale_type, residual, len(calls) % 8))

for name, inputs in (("text", [t.encode() for t in dict.fromkeys(texts)]), ("params", calls)):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(os.path.join(folder, "seed_*")):
        os.remove(old)
    for number, data in enumerate(inputs):
        with open(os.path.join(folder, f"seed_{number:04}"), "wb") as file:
            file.write(data)
    print(f"{len(inputs)} seeds of {name}")
