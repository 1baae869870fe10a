#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""symbols_test.py SOURCE_DIR LIBFIAR_SO: the headers, the version script and the library agree.

What fiar/{abi,runtime,status}.h declare with FIAR_API is what runtime/fiar_runtime.map lists and what
`nm -D` finds defined, no more and no less.
"""
import re
import subprocess
import sys

source, library = sys.argv[1:]

declared = set()
for header in ("abi", "runtime", "status"):
    text = open(f"{source}/include/fiar/{header}.h").read()
    declared |= set(re.findall(r"FIAR_API\s[^;]*?\b(fiar_\w+)\s*\(", text))

map_text = re.sub(r"/\*.*?\*/", "", open(f"{source}/runtime/fiar_runtime.map").read(), flags=re.S)
listed = set(re.findall(r"\b(fiar_\w+);", map_text))

nm = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True)
exported = {line.split()[-1].split("@")[0] for line in nm.stdout.splitlines()}
exported -= {name for name in exported if name.startswith("FIAR_")}  # the version nodes themselves

failed = False
for left, right, words in (
    (declared, listed, "declared, but not in the map"),
    (listed, declared, "in the map, but not declared"),
    (listed, exported, "in the map, but not exported"),
    (exported, listed, "exported, but not in the map"),
):
    if left - right:
        failed = True
        print(f"{words}: {', '.join(sorted(left - right))}")
print(f"{len(exported)} symbols")
sys.exit(failed or not exported)
