# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FIAR_TEST_DEVICES devices (2, 4 or 8; 8 without it): of this process's CPU, or GPUs (JAX_PLATFORMS=cuda,cpu:
host callbacks want the CPU, too). They must be asked for before JAX starts."""
import os

DEVICES = int(os.environ.get("FIAR_TEST_DEVICES", "8"))
if os.environ.setdefault("JAX_PLATFORMS", "cpu") == "cpu":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
    os.environ.setdefault("FIAR_TIMEOUT_MS", "3000")

import pytest  # noqa: E402

import blocks  # noqa: E402


@pytest.fixture(params=sorted({max(2, DEVICES // 2), DEVICES}), ids=lambda n: f"tp{n}")
def mesh(request):
    return blocks.mesh(request.param)


def needs(devices):
    """Skips the test where there are fewer."""
    if DEVICES < devices:
        pytest.skip(f"needs {devices} devices, there are {DEVICES}")


@pytest.fixture
def cpu_only():
    if not blocks.on_cpu():
        pytest.skip("on GPUs XLA's own collectives would wait without an end here, too")
