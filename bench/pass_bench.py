#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""pass_bench.py [BUILD_DIR [FRONTEND...]]: what fiar-fuse costs beside reading and printing the same text.

For each frontend generates a module and one ten times as deep, and prints the user time of fiar-opt without a pass, with
fiar-fuse, their ratio, and how the pass's time grows with the depth: medians of RUNS alternating runs.
"""
import os
import resource
import statistics
import subprocess
import sys
import tempfile

RUNS = 5
build = sys.argv[1] if len(sys.argv) > 1 else "build"
here = os.path.dirname(os.path.abspath(__file__))
tool = os.path.join(build, "bin", "fiar-opt")


def user_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measure(path, options):
    variants = {"plain": [tool, path], "fuse": [tool, f"--pass-pipeline=builtin.module(fiar-fuse{options})", path]}
    times = {name: [] for name in variants}
    for _ in range(RUNS):
        for name, command in variants.items():
            times[name].append(user_seconds(command))
    return {name: statistics.median(values) for name, values in times.items()}


# name: the generator, its arguments before the depth, and the pass's options
MODELS = {
    "stablehlo": ("make_model.py", ["--quant=none", "--layers"], ""),
    "stablehlo_fp8": ("make_model.py", ["--quant=fp8", "--layers"], ""),
    **{name: ("make_layers.py", [name], "{world=4}" if name.startswith("torch") else "")
       for name in ("torch", "torch_written", "torch_decomposed", "upstream", "ttir", "tosa")},
}
wanted = sys.argv[2:] or list(MODELS)
growth = {}
print(f"{'frontend':>16} {'layers':>7} {'no pass s':>10} {'fuse s':>8} {'ratio':>6}")
with tempfile.TemporaryDirectory() as folder:
    for name in wanted:
        script, arguments, options = MODELS[name]
        for layers in (160, 1600):
            path = os.path.join(folder, "model.mlir")
            with open(path, "w") as out:
                subprocess.run([sys.executable, os.path.join(here, script), *arguments, str(layers)], check=True, stdout=out)
            r = growth[name, layers] = measure(path, options)
            print(f"{name:>16} {layers:7} {r['plain']:10.3f} {r['fuse']:8.3f} {r['fuse'] / r['plain']:6.2f}", flush=True)
for name in wanted:
    times = growth[name, 1600]["fuse"] / growth[name, 160]["fuse"]
    print(f"{name}: ten times the layers, {times:.1f} times the time with fiar-fuse")
