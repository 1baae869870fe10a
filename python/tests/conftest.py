# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FIAR_TEST_DEVICES devices, 8 without it: of this process's CPU, or (JAX_PLATFORMS=cuda) GPUs. They must
be asked for before JAX starts."""
import os

DEVICES = int(os.environ.get("FIAR_TEST_DEVICES", "8"))
if os.environ.setdefault("JAX_PLATFORMS", "cpu") == "cpu":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
    os.environ.setdefault("FIAR_TIMEOUT_MS", "3000")

import pytest  # noqa: E402

import blocks  # noqa: E402


@pytest.fixture(params=[DEVICES // 2, DEVICES], ids=lambda n: f"tp{n}")
def mesh(request):
    return blocks.mesh(request.param)


@pytest.fixture
def cpu_only():
    if not blocks.on_cpu():
        pytest.skip("on GPUs XLA's own collectives would wait without an end here, too")
