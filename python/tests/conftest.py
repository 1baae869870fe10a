# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Eight CPU devices in this process; they must be asked for before JAX starts."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ.setdefault("FIAR_TIMEOUT_MS", "3000")

import pytest  # noqa: E402

import blocks  # noqa: E402


@pytest.fixture(params=[4, 8], ids=lambda n: f"tp{n}")
def mesh(request):
    return blocks.mesh(request.param)
