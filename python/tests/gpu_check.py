# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gpu_check.py [DEVICES]: the blocks of blocks.py, fused against unfused, on this machine's GPUs.

Bit for bit where the unfused program is exact; then 1,000 steps of one function, and a model. Run it
twice, the second time with XLA_FLAGS=--xla_gpu_enable_command_buffer= (no command buffers).
"""
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[i]) for i in (0, 1)]

import jax  # noqa: E402
import numpy as np  # noqa: E402

import blocks  # noqa: E402
import fiar.jax  # noqa: E402


def differences(got, want):
    return [int((blocks.bits(g) != blocks.bits(w)).sum()) for g, w in zip(got, want, strict=True)]


def main():
    mesh = blocks.mesh(int(sys.argv[1]) if len(sys.argv) > 1 else len(jax.devices()))
    bad = 0
    for name, step in blocks.STEPS.items():
        unfused, inputs = blocks.sharded(step, mesh), blocks.step_inputs()
        got, want = fiar.jax.fuse(unfused)(*inputs), unfused(*inputs)
        found = differences(got, want)
        norm = blocks.ulps(got[1], want[1])
        good = found[0] == 0 and norm <= 2
        bad += not good
        print(f"{name}: {'ok' if good else 'WRONG'}; elements that differ {found}, norm by {norm} ulp", flush=True)
    fused, inputs = fiar.jax.fuse(blocks.sharded(blocks.step_plain, mesh)), blocks.step_inputs()
    first = jax.block_until_ready(fused(*inputs))
    for i in range(1000):
        last = fused(*inputs)
        if i % 16 == 0:
            jax.block_until_ready(last)
    changed = sum(differences(last, first))
    bad += changed != 0
    print(f"1000 steps: {'ok' if changed == 0 else 'WRONG'}", flush=True)
    parameters = blocks.model_parameters(2)
    rng = np.random.default_rng(3)
    x, residual = (rng.normal(size=(blocks.T, blocks.H)).astype(blocks.BF16) for _ in range(2))
    model = blocks.sharded_model(parameters, mesh)
    got, want = fiar.jax.fuse(model)(parameters, x, residual), model(parameters, x, residual)
    close = all(np.allclose(np.asarray(g, np.float32), np.asarray(w, np.float32), atol=0.08, rtol=0.02) for g, w in zip(got, want))
    bad += not close
    print(f"model of two layers: {'ok' if close else 'WRONG'}", flush=True)
    bad += not sharded_residual_changes_nothing(mesh)
    return bad != 0


def sharded_residual_changes_nothing(mesh):
    """One token: all ranks but one own no row."""
    parameters, rng = blocks.model_parameters(3), np.random.default_rng(3)
    x, residual = (rng.normal(size=(1, blocks.H)).astype(blocks.BF16) for _ in range(2))
    model = blocks.sharded_model(parameters, mesh)
    got, want = (fiar.jax.fuse(model, shard_residual=yes)(parameters, x, residual) for yes in (True, False))
    changed = sum(differences(got, want))
    print(f"sharded residual of one token: {'ok' if changed == 0 else 'WRONG'}", flush=True)
    return changed == 0


if __name__ == "__main__":
    sys.exit(main())
