"""local_variants.py FIAR_OPT COUNT: the random norms and quantisers of ../../fuse/Inputs/variants.py with no all-reduce in front: each
becomes one fiar.rms_norm, which its parameters say just as they say the fused call."""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "fuse", "Inputs"))
import builder  # noqa: E402


def without_all_reduce(self, value, kind="add", attributes=None, promoted=False):
    return value


def with_world(module):
    return lambda self, *results, **options: f"// world {self.world}\n" + module(self, *results, **options)


def parse(line, world):
    """A fiar.rms_norm read as the fiar.all_reduce_norm of one rank that it is."""
    sizes = re.search(r"resultSegmentSizes = array<i32: ([0-9, ]+)>", line).group(1)
    line = line.replace(f"resultSegmentSizes = array<i32: {sizes}>", f"resultSegmentSizes = array<i32: 0, {sizes}>")
    return {**builder.parse_fused(line), "world": world}


def raise_all(fiar_opt, modules, flags=""):
    run = subprocess.run([fiar_opt, "--split-input-file", "--pass-pipeline=builtin.module(fiar-raise-block)"],
                         input="\n// -----\n".join(modules), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit("fiar-opt failed:\n" + run.stderr[:2000])
    outputs = run.stdout.split("// -----")
    assert len(outputs) == len(modules), (len(outputs), len(modules))
    worlds = [int(re.match(r"// world (\d+)", module).group(1)) for module in modules]
    return [([parse(line, world) for line in output.splitlines() if '"fiar.rms_norm"(' in line], None, output)
            for output, world in zip(outputs, worlds)]


builder.Builder.all_reduce = without_all_reduce
builder.Builder.module = with_world(builder.Builder.module)
builder.fuse = raise_all
import variants  # noqa: E402, F401  (its text runs on import)
