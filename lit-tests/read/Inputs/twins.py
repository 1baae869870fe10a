"""twins.py COMMAND FOLDER SCRATCH: every x.mlir of FOLDER prints like x.generic.mlir, and like itself read
again from its text and from its bytecode."""
import glob
import shlex
import subprocess
import sys

tool, folder, scratch = sys.argv[1:]


def run(*arguments):
    return subprocess.run([*shlex.split(tool), *arguments], check=True, capture_output=True).stdout


generic = sorted(glob.glob(folder + "/*.generic.mlir"))
for twin in generic:
    pretty = twin.replace(".generic.mlir", ".mlir")
    text = run(pretty)
    if text != run(twin):
        sys.exit(f"{pretty} and {twin} print differently")
    for flags in ([], ["--emit-bytecode"], ["--mlir-print-op-generic"], ["--mlir-print-debuginfo"]):
        run(pretty, *flags, "-o", scratch)
        if text != run(scratch):
            sys.exit(f"{pretty} changes on a round trip with {flags}")
if not generic:
    sys.exit(f"{folder} has no *.generic.mlir")
