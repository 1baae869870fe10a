"""round_trip.py TOOL FOLDER SCRATCH: every *.mlir of FOLDER prints the same when what was printed is read
again, as text and as generic text. Chunks between '// -----' are modules of their own."""
import glob
import subprocess
import sys

tool, folder, scratch = sys.argv[1:]


def run(*arguments):
    done = subprocess.run([tool, "--split-input-file", *arguments], capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return done.stdout


files = sorted(glob.glob(folder + "/*.mlir"))
for file in files:
    text = run(file)
    for flags in ([], ["--mlir-print-op-generic"]):
        run(file, *flags, "-o", scratch)
        if text != run(scratch):
            sys.exit(f"{file} changes on a round trip with {flags}")
if not files:
    sys.exit(f"{folder} has no *.mlir")
