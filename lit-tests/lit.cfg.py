"""The lit suite. A folder a stage: read, frontends, fuse, lower, run; tool: fiar-opt and the plugin themselves.

Features    cuda       the CUDA parts are built and a GPU answers
            native     a compiled model may link this build's libfiar (not under a sanitizer)
            plugin     stock mlir-opt may load FiarPlugin.so (not under a sanitizer)
            jax        a Python has JAX: $FIAR_JAX_PYTHON, else the build's venv (which the test
                       python.jax makes), else lit's own; %jax_python is it
            shared-ir  real modules of other projects lie in $FIAR_SHARED/ir, or in ../shared/ir beside
                       the checkout; %shared_ir is that folder
Substitutions  %plugin, %fiar_version, %cc, %build, %llvm_lib, %python, and the tools by their plain names
"""
import os
import subprocess
import sys

import lit.formats

config.name = "fiar"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.fiar_build, "lit-tests")
config.environment["PATH"] = os.pathsep.join([config.fiar_tools, os.environ.get("PATH", "")])
for name, value in os.environ.items():
    if name.startswith(("FIAR_", "ASAN_", "UBSAN_", "LSAN_", "CUDA_")):
        config.environment[name] = value

# Debian's names carry the version; another install has plain ones in the folder that CMake found.
for tool in ("FileCheck", "mlir-opt", "mlir-translate", "not", "count", "split-file", "llc", "clang"):
    path = os.path.join(config.llvm_tools, tool)
    config.substitutions.append((rf"(?<![-\w./%]){tool}(?![-\w./])", path if os.path.exists(path) else tool + "-22"))
config.substitutions += [
    ("%plugin", config.fiar_plugin),
    ("%fiar_version", config.fiar_version),
    ("%cc", config.host_cc),
    ("%build", config.fiar_build),
    ("%llvm_lib", config.llvm_lib),
    ("%python", sys.executable),
]

# Without psutil lit cannot bound a test's time.
if lit_config.maxIndividualTestTimeIsSupported[0]:
    lit_config.maxIndividualTestTime = 300

if not config.fiar_sanitize:
    config.available_features.update(["native", "plugin"])

shared = os.environ.get("FIAR_SHARED") or os.path.join(config.fiar_source, "..", "shared")
shared_ir = os.path.realpath(os.path.join(shared, "ir"))
if os.path.isdir(shared_ir):
    config.available_features.add("shared-ir")
    config.substitutions.append(("%shared_ir", shared_ir))
else:
    lit_config.note(f"shared-ir tests are skipped: no {shared_ir}; FIAR_SHARED names its parent folder")


venv_python = os.path.join(config.fiar_build, "venv", "bin", "python")
jax_python = os.environ.get("FIAR_JAX_PYTHON") or (venv_python if os.path.exists(venv_python) else sys.executable)
find_jax = "import importlib.util, sys; sys.exit(importlib.util.find_spec('jaxlib') is None)"
if subprocess.run([jax_python, "-c", find_jax]).returncode == 0:
    config.available_features.add("jax")
    config.substitutions.append(("%jax_python", jax_python))
else:
    lit_config.note(f"jax tests are skipped: {jax_python} has no jaxlib; FIAR_JAX_PYTHON names another")


def gpu_answers():
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=60).stdout.startswith(b"GPU")
    except (OSError, subprocess.TimeoutExpired):
        return False


if not config.fiar_cuda:
    lit_config.note("cuda tests are skipped: built without CUDA")
elif not gpu_answers():
    lit_config.note("cuda tests are skipped: nvidia-smi lists no GPU")
else:
    config.available_features.add("cuda")
