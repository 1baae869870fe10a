"""same.py FIAR_OPT FILE...: fiar-fuse gives the same output for each module of the files however it is run: again, on its
own output, on bytecode, on generic text, without threads; and what it leaves altogether prints as it does without the pass."""
import subprocess
import sys

tool = sys.argv[1]
count = left = bad = 0


def run(text, *flags):
    done = subprocess.run([tool, *flags], input=text, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return done.stdout


# Groups that have only a name fuse with the option, and stay without it.
runs = [(path, options) for path in sys.argv[2:] for options in (["", "{world=4}"] if "/torch" in path else [""])]
for path, options in runs:
    fuse = f"--pass-pipeline=builtin.module(fiar-fuse{options})"
    for chunk in open(path, "rb").read().split(b"// -----\n"):
        once = run(chunk, fuse)
        ways = {
            "again": run(chunk, fuse),
            "on its own output": run(once, fuse),
            "on bytecode": run(run(chunk, "--emit-bytecode"), fuse),
            "on generic text": run(run(chunk, "--mlir-print-op-generic"), fuse),
            "on text with locations": run(run(chunk, "--mlir-print-debuginfo"), fuse),
            "without threads": run(chunk, fuse, "--mlir-disable-threading"),
            "to bytecode and back": run(run(chunk, fuse, "--emit-bytecode")),
        }
        if b"fiar." not in once:
            left += 1
            ways["compared with no pass"] = run(chunk)
        for way, output in ways.items():
            if output != once:
                bad += 1
                print(f"{path}: another output {way}")
        count += 1
print(f"{count} modules, {left} of them left as they were: {bad} differences")
sys.exit(bad != 0)
