#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""pass_bench.py BUILD_DIR: what fiar-fuse costs beside reading and printing the same text.

Generates 80- and 800-layer modules and prints the user time of fiar-opt without a pass, with
fiar-fuse, their ratio, and how both grow with the layers: medians of RUNS alternating runs.
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


def measure(path):
    variants = {"plain": [tool, path], "fuse": [tool, "--pass-pipeline=builtin.module(fiar-fuse)", path]}
    times = {name: [] for name in variants}
    for _ in range(RUNS):
        for name, command in variants.items():
            times[name].append(user_seconds(command))
    return {name: statistics.median(values) for name, values in times.items()}


results = {}
print(f"{'layers':>7} {'quant':>5} {'no pass s':>10} {'fuse s':>8} {'ratio':>6}")
with tempfile.TemporaryDirectory() as folder:
    for quant in ("none", "fp8"):
        for layers in (80, 800):
            path = os.path.join(folder, "model.mlir")
            with open(path, "w") as out:
                subprocess.run([sys.executable, os.path.join(here, "make_model.py"), f"--layers={layers}",
                                f"--quant={quant}"], check=True, stdout=out)
            r = results[quant, layers] = measure(path)
            print(f"{layers:7} {quant:>5} {r['plain']:10.3f} {r['fuse']:8.3f} {r['fuse'] / r['plain']:6.2f}")
for quant in ("none", "fp8"):
    growth = results[quant, 800]["fuse"] / results[quant, 80]["fuse"]
    print(f"ten times the layers, {quant}: {growth:.1f} times the time with fiar-fuse")
