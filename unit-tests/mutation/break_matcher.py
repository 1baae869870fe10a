#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Does the mutation test notice a broken matcher? Breaks fiar-fuse in one place after another and runs it on each.

usage: break_matcher.py [--mutants N] [--work DIR] [FAULT...]

Works on a copy of the sources in DIR (build/break-matcher), so the tree stays as it is: for each fault the copy is changed, built and
tested with mutate.py, N mutants (1000) of the models of bench/make_model.py. Prints a line a fault, and last the same for the copy
without one. Exit status 1 where a fault is not noticed, no longer applies, or the copy without one fails. With names, those alone.
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


def with_fault(tree, name, file, old, new, count):
    path = os.path.join(tree, file)
    text = open(path).read()
    if text.count(old) != 1:
        return False, f"no longer applies: {old!r} is there {text.count(old)} times"
    with open(path, "w") as out:
        out.write(text.replace(old, new))
    try:
        error = build(tree)
        return (False, "does not build: " + error) if error else mutants(tree, count, name)
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
    for name, claim, file, old, new in FAULTS:
        if args.faults and name not in args.faults:
            continue
        noticed, line = with_fault(tree, name, file, old, new, args.mutants)
        bad += not noticed
        print(f"{'noticed' if noticed else 'NOT NOTICED'}: {name} ({claim}): {line}", flush=True)
    error = build(tree)
    failed, line = (True, error) if error else mutants(tree, args.mutants)
    print(f"{'FAILS' if failed else 'passes'}: without a fault: {line}")
    sys.exit(bad != 0 or failed)


main()
