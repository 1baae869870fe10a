# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rewrites that were recorded, on machines without fiar-opt."""
import jax
import numpy as np
import pytest

import blocks
import fiar.jax
from blocks import bits
from fiar import _home, _opt

PASSES = ["fiar-fuse{report=json}", "fiar-lower-to-ffi"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the records, and a way to lose fiar-opt."""
    monkeypatch.setenv("FIAR_REWRITE_CACHE", str(tmp_path / "records"))
    (tmp_path / "home" / "lib").mkdir(parents=True)
    (tmp_path / "home" / "lib" / "libfiar_xla.so").symlink_to(_home.find("lib/libfiar_xla.so"))
    monkeypatch.lose_fiar_opt = lambda: monkeypatch.setenv("FIAR_HOME", str(tmp_path / "home"))
    return monkeypatch


def test_a_recorded_function_needs_no_fiar_opt(folder, tmp_path):
    unfused, inputs = blocks.sharded(blocks.step_fp8, blocks.mesh(4)), blocks.step_inputs()
    shapes = [jax.ShapeDtypeStruct(np.shape(a), np.asarray(a).dtype) for a in inputs]
    found = fiar.jax.record(unfused, *shapes, platform="cuda")
    assert (found.fused, found.rows[0]["quant"]) == (1, "fp8_static")
    assert len(list((tmp_path / "records").glob("*.mlir"))) == 1
    folder.lose_fiar_opt()
    assert str(fiar.jax.record(unfused, *shapes)) == str(found)
    got, want = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
    np.testing.assert_array_equal(bits(got[0]), bits(want[0]))
    blocks.assert_same_norm(got[1], want[1])
    with pytest.raises(_home.NotFound, match=r"fiar-opt is in none of .*records, has no \w{32}.mlir"):
        fiar.jax.fuse(unfused, shard_residual=True)(*inputs)


def test_recording_needs_a_folder(monkeypatch):
    monkeypatch.delenv("FIAR_REWRITE_CACHE", raising=False)
    with pytest.raises(ValueError, match="FIAR_REWRITE_CACHE"):
        fiar.jax.record(blocks.sharded(blocks.step_plain, blocks.mesh(4)), *blocks.step_inputs())


def test_records_are_named_without_locations():
    here = 'module @m {\n  func.func @f(%x: tensor<2xf32> loc("x")) attributes {text = "a loc(b)"} loc(#loc1)\n}\n#loc1 = loc("a.py":1:2)\n'
    there = ('#loc = loc(unknown)\nmodule @m {\n  func.func @f(%x: tensor<2xf32> loc("y(")) attributes {text = "a loc(b)"} '
             'loc(callsite("f"("b.py":3:4) at "g"("c.py":5:6)))\n}\n')
    assert _opt.cache_key(here, PASSES) == _opt.cache_key(there, PASSES)
    assert _opt.cache_key(here, PASSES) != _opt.cache_key(here.replace("2xf32", "3xf32"), PASSES)
    assert _opt.cache_key(here, PASSES) != _opt.cache_key(here.replace("a loc(b)", "a"), PASSES)
    assert _opt.cache_key(here, PASSES) != _opt.cache_key(here, PASSES[:1])
