# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where fiar's programs and libraries lie."""
import os
import pathlib
import sys


class NotFound(RuntimeError):
    """A program or library of fiar is in none of the places where it is looked for."""


def homes():
    """The folders that may hold bin/ and lib/, in the order of the search.

    FIAR_HOME alone where it is set; else this checkout's build folders, the Python installation's
    prefix, and the system's usual prefixes.
    """
    if os.environ.get("FIAR_HOME"):
        return [pathlib.Path(os.environ["FIAR_HOME"])]
    checkout = pathlib.Path(__file__).resolve().parents[2]
    built = [checkout / "build", checkout / "build-release"] if (checkout / "CMakePresets.json").exists() else []
    return built + [pathlib.Path(p) for p in (sys.prefix, "/usr/local", "/usr")]


def find(name):
    """The path of `bin/fiar-opt`, `lib/libfiar_xla.so` or the like in the first home that has it."""
    kind, base = name.split("/")
    folders = [kind] if kind != "lib" else ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"]
    for home in homes():
        for folder in folders:
            path = home / folder / base
            if path.exists():
                return str(path)
    searched = ", ".join(str(home) for home in homes())
    raise NotFound(f"{base} is in none of {searched}; build fiar, or set FIAR_HOME to its build folder or prefix")
