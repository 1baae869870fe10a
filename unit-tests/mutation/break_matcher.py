#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Do the tests notice a broken matcher? Breaks fiar-fuse and fiar-raise-block in one place after another and runs them on each.

usage: break_matcher.py [--mutants N] [--work DIR] [FAULT...]

Works on a copy of the sources in DIR (build/break-matcher), so the tree stays as it is: for each fault the copy is changed, built and
tested. fiar-fuse with mutate.py, N mutants (1000) of the models of bench/make_model.py; fiar-raise-block with
fiar-check{rewrite=fuse-and-raise} on the modules of lit-tests/block, whose values must then differ: a crash, or a module that no
longer verifies, is not counted. Prints a line a fault, and last the same for the copy without one. Exit status 1 where a fault is not
noticed, no longer applies, or the copy without one fails. With names, those alone.
"""
import argparse
import os
import shutil
import subprocess
import sys

# name, what it amounts to, file, what stands there, what is put there; the last one is mutated in the fuse tests' variants,
# which have such ops
FAULTS = [
    ("reducer", "any all-reduce is taken for a sum", "passes/fuse/fuse.c",
     'if (strcmp(anchor->primitive.reduction, "sum") != 0) {', "if (anchor->primitive.reduction == NULL) {"),
    ("count", "the sum of squares may be divided by any number", "passes/fuse/norm.c",
     "if (count->number != (double)hidden) {", "if (count->number == 0) {"),
    ("eps", "eps is taken to be 1e-5", "passes/fuse/norm.c", "out->facts.eps = eps->number;", "out->facts.eps = 1e-5;"),
    ("rounding", "the norm is taken to be rounded after the weight", "passes/fuse/norm.c",
     "out->facts.rounding = before ? FIAR_NORM_ROUNDING_BEFORE_WEIGHT : FIAR_NORM_ROUNDING_AFTER_WEIGHT;",
     "(void)before;\n  out->facts.rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;"),
    ("bias", "1 + w is taken for w", "passes/fuse/norm.c", "out->facts.weight_bias = weight->bias;", "out->facts.weight_bias = 0;"),
    ("clamp", "fp8 codes need no clamp", "passes/fuse/quant.c", "bool open = in->number == 0 && !far;",
     "bool open = in->number == 0;\n  (void)far;"),
    ("order", "operands of products and sums are not commuted: less is fused", "passes/fuse/eval.c",
     "(b != NULL && commutes(rule->kind) && apply_rule(context, rule, b, a, out))",
     "(b != NULL && commutes(rule->kind) && b->role == FIAR_ROLE_CONST && apply_rule(context, rule, b, a, out))"),
    ("power", "any power is a square", "passes/fuse/norm.c",
     "if (b != NULL && b->role == FIAR_ROLE_CONST && b->number != 2) {", "if (b != NULL && b->role == FIAR_ROLE_CONST && b->number == 0) {"),
]
RAISE_FAULTS = [
    ("scale", "the first scale of a product counts twice", "passes/block/matmul.c",
     "MlirValue operands[] = {m->a, m->b, m->bias, m->scale[0], m->scale[1],",
     "MlirValue operands[] = {m->a, m->b, m->bias, m->scale[0], m->scale[0],"),
    ("transpose", "a square matrix that the program transposes is taken as it lies", "passes/block/matmul.c",
     "m->b_transposed = !m->b_transposed;", "m->b_transposed ^= b.size[0] != b.size[1];"),
    ("axis", "a square product is contracted over its columns whichever it says", "passes/block/matmul.c",
     "m->b_transposed = p->dims2[0] == 1;", "m->b_transposed = p->dims2[0] == 1 || b.size[0] == b.size[1];"),
    ("activation", "gelu by erfc is taken for gelu by tanh", "passes/block/activate.c",
     '{"gelu", fiarRaiseGeluOf}', '{"gelu_tanh", fiarRaiseGeluOf}'),
    ("combine", "a sum with an activation is taken for a product", "passes/block/activate.c",
     'act_t act = {.activation = "none", .combine = "add", .last = op};', 'act_t act = {.activation = "none", .combine = "mul", .last = op};'),
    ("blocks", "scales may lie beside any elements, not only their block's", "passes/block/block_scales.c",
     "      return false;\n    }\n  }\n  return true;\n}\n\n// X(codes, scales, block, scale type)",
     "      return true;\n    }\n  }\n  return true;\n}\n\n// X(codes, scales, block, scale type)"),
    ("columns", "a vector over the rows is taken for the columns' bias", "passes/block/matmul.c",
     "    if (source.dims[source.n_dims - 1] != along) {", "    if (source.dims[source.n_dims - 1] < 0) {"),
]
RAISE_MODULES = ["raise.mlir", "quantisers.mlir", "activations.mlir", "block_scaled.mlir", "Inputs/jax_scaled_dot_mxfp8.mlir"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def copy_sources(tree):
    names = subprocess.run(["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = os.path.join(SOURCE, name), os.path.join(tree, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copyfile(source, target)


def build(tree):
    """None, or what the compiler says."""
    folder = os.path.join(tree, "build")
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        flags = ["-DFIAR_CUDA=OFF", "-DFIAR_BUILD_TESTS=OFF", "-DFIAR_BUILD_BENCH=OFF", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
        subprocess.run(["cmake", "-G", "Ninja", "-S", tree, "-B", folder, *flags], capture_output=True, check=True)
    done = subprocess.run(["cmake", "--build", folder, "--target", "fiar-opt"], capture_output=True, text=True)
    return done.stdout[-2000:] if done.returncode else None


def mutants(tree, count, name=""):
    """What mutate.py finds: whether it does, and its last line."""
    script = [sys.executable, os.path.join(SOURCE, "unit-tests/mutation/mutate.py"), os.path.join(tree, "build/bin/fiar-opt")]
    originals = ["--variants", os.path.join(SOURCE, "lit-tests/fuse/Inputs/variants.py")] if name == "power" else \
        ["--models", os.path.join(SOURCE, "bench/make_model.py")]
    done = subprocess.run([*script, str(count), "--seed", "5", *originals], capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    return done.returncode != 0, lines[-1]


def raised(tree):
    """Whether fiar-check finds a value changed in what fiar-raise-block makes of its tests' modules, and which; or what else fails."""
    line = None
    for name in RAISE_MODULES:
        command = [os.path.join(tree, "build/bin/fiar-opt"), "--split-input-file", os.path.join(SOURCE, "lit-tests/block", name), "-o",
                   os.devnull, "--pass-pipeline=builtin.module(fiar-check{rewrite=fuse-and-raise seeds=2})"]
        done = subprocess.run(command, capture_output=True, text=True)
        differs = [text for text in done.stderr.splitlines() if "differs after the rewrite" in text]
        if differs:
            return True, os.path.basename(differs[0])
        if done.returncode:
            line = f"{name}: {(done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[0]}"
    return (None, line) if line else (False, f"{len(RAISE_MODULES)} files of modules hold")


def with_fault(tree, file, old, new, test):
    path = os.path.join(tree, file)
    text = open(path).read()
    if text.count(old) != 1:
        return False, f"no longer applies: {old!r} is there {text.count(old)} times"
    with open(path, "w") as out:
        out.write(text.replace(old, new))
    try:
        error = build(tree)
        return (False, "does not build: " + error) if error else test()
    finally:
        with open(path, "w") as out:
            out.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--work", default=os.path.join(SOURCE, "build", "break-matcher"))
    parser.add_argument("faults", nargs="*")
    args = parser.parse_args()
    tree = os.path.join(args.work, "tree")
    copy_sources(tree)
    bad = 0
    faults = [(*fault, lambda name=fault[0]: mutants(tree, args.mutants, name)) for fault in FAULTS]
    faults += [(*fault, lambda: raised(tree)) for fault in RAISE_FAULTS]
    for name, claim, file, old, new, test in faults:
        if args.faults and name not in args.faults:
            continue
        noticed, line = with_fault(tree, file, old, new, test)
        bad += not noticed
        print(f"{'noticed' if noticed else 'NOT NOTICED'}: {name} ({claim}): {line}", flush=True)
    error = build(tree)
    tests = [lambda: (True, error)] if error else [lambda: mutants(tree, args.mutants), lambda: raised(tree)]
    for test in tests:
        failed, line = test()
        failed = failed is not False
        bad += failed
        print(f"{'FAILS' if failed else 'passes'}: without a fault: {line}")
    sys.exit(bad != 0)


main()
