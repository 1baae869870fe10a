# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The example in examples/jax, as a user runs it."""
import os
import pathlib
import subprocess
import sys

import blocks

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "jax" / "fuse_block.py"


def test_the_example_fuses_and_keeps_the_residual():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run([sys.executable, str(EXAMPLE)], env=environment, capture_output=True, text=True, check=True)
    assert "1 all-reduces seen, 1 fused, 0 left" in done.stdout
    assert "residual: 0 of" in done.stdout
    assert "norm: 0 of" in done.stdout or not blocks.on_cpu()
