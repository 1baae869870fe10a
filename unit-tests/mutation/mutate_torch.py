#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mutates torch modules whose ops write over operands, and holds fiar-fuse to what fiar-check sees.

usage: mutate_torch.py FIAR_OPT COUNT FILE [--seed N] [--keep DIR]

Each function of FILE is a module; a mutant has one to three changes: an op with results writes over its operands instead,
an unknown op writes over a value, an op is moved, repeated or left out, an operand or a number is another one, a view comes
between. Whatever the mutant computes, write by write, fusing must keep it. Prints a line a survivor and a closing count; exit
status 1 where anything survived, or where less than a twentieth of the mutants still fuse: then nothing was tested.
"""
import argparse
import os
import random
import re
import sys

from mutate import BATCH, Tool

# The operands that each op writes, in the order of its results.
WRITTEN = {
    "torch._C.rms_norm": [0], "torch._C.fused_add_rms_norm": [0, 1], "torch._C.static_scaled_fp8_quant": [0],
    "torch._C.rms_norm_static_fp8_quant": [0], "torch._C.fused_add_rms_norm_static_fp8_quant": [0, 2],
    "torch._C.dynamic_per_token_scaled_fp8_quant": [0, 2], "torch._C.per_token_group_fp8_quant": [1, 2],
    "torch._C.scaled_fp4_quant": [0, 2], "torch._C.scaled_fp4_quant.out": [3, 4],
}
OP = re.compile(r'^(\s*)(?:(%\w+)(?::(\d+))? = )?"([\w.]+)"\(([^)]*)\)(.*) : \((.*)\) -> (.*)$')


def ops(lines):
    return [(i, m) for i, m in ((i, OP.match(line)) for i, line in enumerate(lines)) if m and m[4] != "func.func"]


def types_of(text):
    return [t for t in text.strip("()").split(", ") if t]


def tensors(lines):
    """(line, name, type) of every tensor that an op or the function's block defines."""
    found = []
    for i, line in enumerate(lines):
        if line.lstrip().startswith("^bb0("):
            found += [(i, n, t) for n, t in re.findall(r"(%\w+): (!torch\.vtensor<[^ )]*>)", line)]
    for i, m in ops(lines):
        if m[2]:
            types = types_of(m[8])
            names = [m[2]] if not m[3] else [f"{m[2]}#{k}" for k in range(len(types))]
            found += [(i, n, t) for n, t in zip(names, types) if "vtensor" in t]
    return found


def rename(lines, start, old, new):
    return lines[:start] + [re.sub(re.escape(old) + r"(?![\w#])", new, line) for line in lines[start:]]


def write_over(lines, rng):
    found = [(i, m) for i, m in ops(lines) if m[2] and re.search(r'name = "([\w.]+)"', m[6])
             and re.search(r'name = "([\w.]+)"', m[6])[1] in WRITTEN]
    if not found:
        return None
    i, m = rng.choice(found)
    operands = m[5].split(", ")
    lines = lines[:i] + [f'{m[1]}"{m[4]}"({m[5]}){m[6]} : ({m[7]}) -> ()'] + lines[i + 1:]
    for k, operand in enumerate(WRITTEN[re.search(r'name = "([\w.]+)"', m[6])[1]]):
        lines = rename(lines, i + 1, f"{m[2]}#{k}" if m[3] else m[2], operands[operand])
    return lines


def fresh_buffer(lines, rng):
    """An argument becomes memory that the function makes, which may be written over."""
    found = [(i, n, t) for i, n, t in tensors(lines) if lines[i].lstrip().startswith("^bb0(") and "bf16" in t]
    if not found:
        return None
    i, name, t = rng.choice(found)
    new = f"%fresh{rng.randrange(10**6)}"
    made = f'    {new} = "torch.aten.mul.Tensor"({name}, {name}) : ({t}, {t}) -> {t}'
    return lines[:i + 1] + [made] + rename(lines[i + 1:], 0, name, new)


def unknown_writer(lines, rng):
    i, name, t = rng.choice(tensors(lines))
    at = rng.randrange(i + 1, len(lines) + 1)
    result = f"    %written{rng.randrange(10**6)} = "
    writer = rng.choice([f'    "torch.operator"({name}) <{{name = "torch.my.change"}}> : ({t}) -> ()',
                         f'{result}"torch.operator"({name}) <{{name = "torch.my.change_.Tensor"}}> : ({t}) -> {t}',
                         f'{result}"torch.my.change_"({name}) : ({t}) -> {t}'])
    return lines[:at] + [writer] + lines[at:]


def view(lines, rng):
    i, name, t = rng.choice(tensors(lines))
    new = f"%view{rng.randrange(10**6)}"
    op = rng.choice(["torch.aten.detach", "torch.aten.clamp_min"])
    made = (f'    {new} = "{op}"({name}) : ({t}) -> {t}' if op.endswith("detach") else
            f'    {new}i = "torch.constant.int"() <{{value = -9 : i64}}> : () -> !torch.int\n'
            f'    {new} = "{op}"({name}, {new}i) : ({t}, !torch.int) -> {t}')
    at = rng.randrange(i + 1, len(lines) + 1)
    return lines[:at] + [made] + (rename(lines[at:], 0, name, new) if rng.random() < 0.7 else lines[at:])


def other_operand(lines, rng):
    i, m = rng.choice(ops(lines))
    types, operands = types_of(m[7]), m[5].split(", ")
    found = [k for k, t in enumerate(types) if "vtensor" in t]
    if not found or len(operands) != len(types):
        return None
    k = rng.choice(found)
    others = [n for j, n, t in tensors(lines) if j < i and t == types[k] and n != operands[k]]
    if not others:
        return None
    operands[k] = rng.choice(others)
    return lines[:i] + [lines[i].replace(f"({m[5]})", f"({', '.join(operands)})", 1)] + lines[i + 1:]


def move(lines, rng):
    i, _ = rng.choice(ops(lines)[:-1])
    at = rng.randrange(len(lines))
    rest = lines[:i] + lines[i + 1:]
    return rest[:at] + [lines[i]] + rest[at:]


def repeat(lines, rng):
    found = [(i, m) for i, m in ops(lines) if not m[2] and m[4] == "torch.operator"]
    if not found:
        return None
    i, _ = rng.choice(found)
    at = rng.randrange(i, len(lines))
    return lines[:at] + [lines[i]] + lines[at:]


def number(lines, rng):
    found = [i for i, line in enumerate(lines) if "torch.constant.float" in line]
    if not found:
        return None
    i = rng.choice(found)
    return lines[:i] + [re.sub(r"value = [^ ]+ : f64", f"value = {rng.choice(['1.0e-3', '0.5', '448.0'])} : f64", lines[i])] + lines[i + 1:]


CHANGES = [write_over] * 4 + [fresh_buffer] * 4 + [unknown_writer, unknown_writer, view, other_operand, move, move, repeat, number]


def functions(tool, path):
    """Each function of the file with something to mutate, its head and its body's lines."""
    text = tool.run(open(path).read()).stdout
    whole = re.findall(r'(  "func\.func".*?\n)((?:    .*\n|  \^bb0.*\n)*?)(    "func\.return".*\n  \}\).*\n)', text)
    return [(head, body.rstrip("\n").split("\n"), tail) for head, body, tail in whole
            if "torch.prim.Loop" not in body and "func.call" not in body and "all_reduce" in body]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiar_opt")
    parser.add_argument("count", type=int)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for the survivors")
    args = parser.parse_args()
    rng, tool = random.Random(args.seed), Tool(args.fiar_opt, "world=4")
    originals = functions(tool, args.file)
    if len(originals) < 10:
        sys.exit(f"{args.file} has only {len(originals)} functions to mutate")
    made = survivors = fused = writes = 0
    while made < args.count:
        batch = []
        while len(batch) < BATCH:
            head, lines, tail = rng.choice(originals)
            lines = lines + tail.split("\n", 1)[:1]
            for _ in range(rng.randrange(1, 6)):
                changed = rng.choice(CHANGES)(lines, rng)
                lines = changed if changed is not None else lines
            text = '"builtin.module"() ({\n' + head + "\n".join(lines) + "\n" + tail.split("\n", 1)[1] + "}) : () -> ()"
            batch.append(text)
        unparsable, _ = tool.split(batch)
        batch = [text for k, text in enumerate(batch) if k not in unparsable]
        bad, done = tool.split(batch, f"--pass-pipeline=builtin.module(fiar-check{{world=4 first-seed={made}}},fiar-fuse{{world=4}})")
        if done.returncode not in (0, 1):
            bad[0] = f"fiar-opt ended with {done.returncode}: {done.stderr[-300:]}"
        for k, reason in bad.items():
            survivors += 1
            print(f"survivor: {reason}", flush=True)
            if args.keep:
                os.makedirs(args.keep, exist_ok=True)
                with open(os.path.join(args.keep, f"{survivors}.mlir"), "w") as out:
                    out.write(batch[k] + "\n")
        outputs = [] if bad else done.stdout.split("// -----")
        fused += sum('"fiar.all_reduce_norm"(' in text for text in outputs)
        writes += sum(") -> ()" in text.split("func.return")[0] and "fiar." in out for text, out in zip(batch, outputs))
        made += len(batch)
    print(f"{made} mutants, {fused} fuse, {writes} of them with writes over operands, {survivors} survivors")
    sys.exit(survivors != 0 or writes * 20 < made)


main()
