# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The example in examples/jax, as a user runs it."""
import pathlib
import runpy

import blocks

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "jax" / "fuse_block.py"


def test_the_example_fuses_and_keeps_the_residual(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "1 all-reduce seen, 1 fused, 0 left" in printed
    assert "residual: 0 of" in printed
    assert "norm: 0 of" in printed or not blocks.on_cpu()
