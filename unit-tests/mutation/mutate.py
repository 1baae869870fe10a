#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mutates modules and holds fiar-fuse to what it may do with the mutants.

usage: mutate.py FIAR_OPT COUNT [--seed N] [--keep DIR] [--models MAKE_MODEL] [--variants VARIANTS] [FILE...]

Every mutant is one of the modules with one change. Two thirds of them change what it computes (an axis,
a constant, an operand, a reducer, a use, a group, a rounding, an inserted op): fiar-check must find that fusing
keeps what the mutant computes, whatever that is. One third keep it (commuted operands, a reassociated scalar,
a reshape pair, a barrier, an outlined op, other names): those must also still be fused as often as the original.
A mutant that does not parse is replaced by another; one that fiar-fuse rejects with an error is refused. Prints a
line a survivor and a closing count; exit status 1 where anything survived.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

OP = re.compile(r'^(\s*)(%\w+) = "([\w.]+)"\(([^)]*)\)(.*) : \(([^()]*)\) -> (tensor<[^ ]*>)$')
BATCH = 50
RENAMES = {
    "add": ["subtract", "multiply", "maximum"], "subtract": ["add"], "multiply": ["add", "divide"],
    "divide": ["multiply"], "maximum": ["minimum"], "minimum": ["maximum"], "rsqrt": ["sqrt"],
    "sqrt": ["rsqrt"], "abs": ["negate"],
}
COMMUTATIVE = {"add", "multiply", "maximum", "minimum"}


def ops(lines):
    return [(i, m) for i, m in ((i, OP.match(line)) for i, line in enumerate(lines)) if m]


def fresh(m, tag):
    return f"%mutant_{tag}"


def replace_operand(line, old, new):
    head, sep, tail = line.partition("(")
    args, end, rest = tail.partition(")")
    return head + sep + re.sub(re.escape(old) + r"\b", new, args, count=1) + end + rest


# ---- Changes of meaning: each takes the lines and gives the mutant's, or None where it does not apply

def rename_op(lines, rng):
    found = [(i, m) for i, m in ops(lines) if m[3].split(".")[-1] in RENAMES]
    if not found:
        return None
    i, m = rng.choice(found)
    dialect, name = m[3].rsplit(".", 1)
    new = rng.choice(RENAMES[name])
    return lines[:i] + [lines[i].replace(f'"{m[3]}"', f'"stablehlo.{new}"', 1)] + lines[i + 1:]


def change_constant(lines, rng):
    found = [i for i, line in enumerate(lines) if re.search(r"dense<-?[0-9.]+(e[+-][0-9]+|E-?[0-9]+)?>", line)]
    if not found:
        return None
    i = rng.choice(found)
    m = re.search(r"dense<(-?[0-9.]+(?:[eE][+-]?[0-9]+)?)>", lines[i])
    if not m:
        return None
    old = float(m[1])
    new = rng.choice([old * 2, old + 1, -old, 0.0, old * 0.5, old * 1.01])
    text = str(int(new)) if re.fullmatch(r"-?[0-9]+", m[1]) else f"{new:e}"
    return lines[:i] + [lines[i][:m.start()] + f"dense<{text}>" + lines[i][m.end():]] + lines[i + 1:]


def change_dims(lines, rng):
    found = [i for i, line in enumerate(lines) if re.search(r"array<i64: [0-9]", line)]
    if not found:
        return None
    i = rng.choice(found)
    m = re.search(r"array<i64: ([0-9, ]+)>", lines[i])
    dims = m[1].split(", ")
    k = rng.randrange(len(dims))
    dims[k] = str(rng.choice([d for d in range(4) if str(d) not in dims] or [9]))
    return lines[:i] + [lines[i][:m.start(1)] + ", ".join(dims) + lines[i][m.end(1):]] + lines[i + 1:]


def swap_operands(lines, rng):
    found = [(i, m) for i, m in ops(lines) if m[4].count(",") == 1 and m[3].split(".")[-1] not in COMMUTATIVE]
    if not found:
        return None
    i, m = rng.choice(found)
    a, b = m[4].split(", ")
    line = lines[i].replace(f"({m[4]})", f"({b}, {a})", 1)
    types = m[6].split(", ")
    if len(types) == 2:
        line = line.replace(f": ({m[6]})", f": ({types[1]}, {types[0]})", 1)
    return lines[:i] + [line] + lines[i + 1:]


def other_operand(lines, rng):
    """Another value of the same type, defined before, in place of an operand."""
    found = ops(lines)
    if len(found) < 2:
        return None
    i, m = rng.choice(found)
    args, types = m[4].split(", "), m[6].split(", ")
    if len(args) != len(types) or not args[0]:
        return None
    k = rng.randrange(len(args))
    indent = len(m[1])
    others = [n[2] for j, n in found if j < i and n[7] == types[k] and n[2] != args[k] and len(n[1]) == indent]
    if not others:
        return None
    return lines[:i] + [replace_operand(lines[i], args[k], rng.choice(others[-8:] if rng.random() < 0.5 else others))] + lines[i + 1:]


def bypass_op(lines, rng):
    """The op's operand in place of its result: a clamp, a convert or a weight is missing."""
    found = [(i, m) for i, m in ops(lines) if m[7] in m[6].split(", ")]
    if not found:
        return None
    i, m = rng.choice(found)
    operand = rng.choice([a for a, t in zip(m[4].split(", "), m[6].split(", ")) if t == m[7]] or [None])
    if operand is None:
        return None
    return lines[:i + 1] + [re.sub(re.escape(m[2]) + r"\b", operand, line) for line in lines[i + 1:]]


def bypass_bound(lines, rng):
    """The same for what bounds a value: a clamp, a minimum or maximum, a call of @clip."""
    bounds = ("clamp", "minimum", "maximum", "call")
    found = [(i, m) for i, m in ops(lines) if m[3].split(".")[-1] in bounds and m[7] in m[6].split(", ")]
    if not found:
        return None
    i, m = rng.choice(found)
    operand = rng.choice([a for a, t in zip(m[4].split(", "), m[6].split(", ")) if t == m[7]] or [m[2]])
    return lines[:i + 1] + [re.sub(re.escape(m[2]) + r"\b", operand, line) for line in lines[i + 1:]]


def operand_of_twin(lines, rng):
    """One op takes the operand that another one like it has, which may be that of another layer."""
    found = [(i, m) for i, m in ops(lines) if len(m[1]) <= 6 and m[4]]
    pairs = [(i, m, n) for i, m in found for j, n in found if j < i and n[3] == m[3] and n[6] == m[6] and n[4] != m[4]]
    if not pairs:
        return None
    i, m, n = rng.choice(pairs)
    mine, other = m[4].split(", "), n[4].split(", ")
    if len(mine) != len(other):
        return None
    k = rng.randrange(len(mine))
    return lines[:i] + [replace_operand(lines[i], mine[k], other[k])] + lines[i + 1:]


def insert_op(lines, rng):
    """An op that changes the value, or its rounding, between two others."""
    found = [(i, m) for i, m in ops(lines) if re.search(r"x(f32|bf16|f16)>$", m[7])]
    if not found:
        return None
    i, m = rng.choice(found)
    t = m[7]
    new = []
    kind = rng.choice(["negate", "exponential", "round", "double"])
    if kind == "round":
        narrow = re.sub(r"x(f32|bf16|f16)>$", rng.choice(["xbf16>", "xf16>"]), t)
        new = [f'{m[1]}%mutant_0 = "stablehlo.convert"({m[2]}) : ({t}) -> {narrow}',
               f'{m[1]}%mutant_1 = "stablehlo.convert"(%mutant_0) : ({narrow}) -> {t}']
    elif kind == "double":
        new = [f'{m[1]}%mutant_1 = "stablehlo.add"({m[2]}, {m[2]}) : ({t}, {t}) -> {t}']
    else:
        new = [f'{m[1]}%mutant_1 = "stablehlo.{kind}"({m[2]}) : ({t}) -> {t}']
    return splice(lines, i, m[2], new, "%mutant_1")


def add_use(lines, rng):
    """A value between two ops is also wanted by something that nothing is known of."""
    found = [(i, m) for i, m in ops(lines) if re.search(r"x(f32|bf16|f16)>$", m[7]) and len(m[1]) <= 6]
    if not found:
        return None
    i, m = rng.choice(found)
    return lines[:i + 1] + [f'{m[1]}"test.use"({m[2]}) : ({m[7]}) -> ()'] + lines[i + 1:]


def splice(lines, i, old, new, result):
    """Puts `new` after line i and lets the uses below read `result`."""
    rest = [re.sub(re.escape(old) + r"(?![\w#])", result, line) for line in lines[i + 1:]]
    return None if rest == lines[i + 1:] else lines[:i + 1] + new + rest


def change_group(lines, rng):
    text = "\n".join(lines)
    m = rng.choice(list(re.finditer(r"dense<\[\[([0-9, ]+)\]", text)) or [None])
    if m:
        ids = m[1].split(", ")
        new = rng.choice([ids[:-1], ids + [str(len(ids))], ids[::-1]])
        return (text[:m.start(1)] + ", ".join(new) + text[m.end(1):]).split("\n")
    m = re.search(r'"tp"=([0-9]+)', text)
    if m is None:
        return None
    return (text[:m.start(1)] + str(int(m[1]) + 1) + text[m.end(1):]).split("\n")


# ---- Changes that keep the meaning

def commute(lines, rng):
    found = [(i, m) for i, m in ops(lines) if m[3].split(".")[-1] in COMMUTATIVE and m[4].count(",") == 1]
    if not found:
        return None
    i, m = rng.choice(found)
    a, b = m[4].split(", ")
    return lines[:i] + [lines[i].replace(f"({m[4]})", f"({b}, {a})", 1)] + lines[i + 1:]


def wide_values(lines):
    """Results of two dimensions at least, where a reshape that keeps the last one can go."""
    return [(i, m) for i, m in ops(lines) if re.match(r"tensor<[0-9]+x[0-9]+x(f32|bf16|f16)>$", m[7])]


def reshape_pair(lines, rng):
    found = wide_values(lines)
    if not found:
        return None
    i, m = rng.choice(found)
    t = m[7]
    taller = t.replace("tensor<", "tensor<1x", 1)
    new = [f'{m[1]}%mutant_0 = "stablehlo.reshape"({m[2]}) : ({t}) -> {taller}',
           f'{m[1]}%mutant_1 = "stablehlo.reshape"(%mutant_0) : ({taller}) -> {t}']
    return splice(lines, i, m[2], new, "%mutant_1")


def barrier(lines, rng):
    found = wide_values(lines)
    if not found:
        return None
    i, m = rng.choice(found)
    new = [f'{m[1]}%mutant_1 = "stablehlo.optimization_barrier"({m[2]}) : ({m[7]}) -> {m[7]}']
    return splice(lines, i, m[2], new, "%mutant_1")


def reassociate(lines, rng):
    """A division by a power of two becomes a product with its reciprocal, or the other way round."""
    values = {m[2]: (i, m) for i, m in ops(lines)}
    found = []
    for i, m in values.values():
        if m[3] not in ("stablehlo.divide", "stablehlo.multiply") or m[4].count(",") != 1:
            continue
        source = values.get(m[4].split(", ")[1])
        if source and source[1][3] == "stablehlo.broadcast_in_dim":
            source = values.get(source[1][4])
        number = source and re.search(r"<{value = dense<([0-9.e+-]+)> : tensor<f32>}>", lines[source[0]])
        shared = source and sum(len(re.findall(re.escape(source[1][2]) + r"\b", line)) for line in lines) > 2
        if number and not shared and float(number[1]) in [2.0**k for k in range(-12, 13)]:
            found.append((i, m, source[0], number))
    if not found:
        return None
    i, m, at, number = rng.choice(found)
    new = lines[:]
    new[at] = lines[at][:number.start(1)] + f"{1 / float(number[1]):e}" + lines[at][number.end(1):]
    other = {"stablehlo.divide": "stablehlo.multiply", "stablehlo.multiply": "stablehlo.divide"}[m[3]]
    new[i] = lines[i].replace(m[3], other, 1)
    return new


def rename(lines, rng):
    """Other names for every value, argument and symbol."""
    text = re.sub(r"%(\w+)", r"%n_\1", "\n".join(lines))
    return re.sub(r"@(mesh|clip|main)\b", r"@n_\1", re.sub(r'sym_name = "(mesh|clip|main)', r'sym_name = "n_\1', text)).split("\n")


def outline(lines, rng):
    """One op becomes a call of a function that does it. What a function does to an argument of the module
    alone is left out: the fused op could not name the argument behind the call."""
    found = [(i, m) for i, m in ops(lines)
             if m[4] and m[3].split(".")[-1] in COMMUTATIVE | {"divide", "rsqrt", "convert", "subtract"}
             and not m[5].strip() and "x" in m[7] and not m[4].startswith("%arg") and len(m[1]) <= 6]
    if not found:
        return None
    i, m = rng.choice(found)
    types = m[6].split(", ")
    if len(types) != m[4].count(",") + 1:
        return None
    call = f'{m[1]}{m[2]} = "func.call"({m[4]}) <{{callee = @mutant_body}}> : ({m[6]}) -> {m[7]}'
    names = [f"%o{k}" for k in range(len(types))]
    body = [f'  "func.func"() <{{function_type = ({m[6]}) -> {m[7]}, sym_name = "mutant_body", sym_visibility = "private"}}> ({{',
            "  ^bb0(" + ", ".join(f"{n}: {t}" for n, t in zip(names, types)) + "):",
            f'    %r = "{m[3]}"({", ".join(names)}) : ({m[6]}) -> {m[7]}',
            f'    "func.return"(%r) : ({m[7]}) -> ()', "  }) : () -> ()"]
    end = max(k for k, line in enumerate(lines) if line.startswith("})"))
    return lines[:i] + [call] + lines[i + 1:end] + body + lines[end:]


CHANGES = [rename_op, change_constant, change_dims, swap_operands, other_operand, bypass_op, insert_op, add_use,
           change_group, bypass_bound, operand_of_twin]
KEEPS = [commute, reassociate, reshape_pair, barrier, outline, rename]


class Tool:
    def __init__(self, path, options=""):
        self.path, self.options = path, options  # of fiar-check and fiar-fuse

    def run(self, text, *flags):
        return subprocess.run([self.path, "--mlir-print-op-generic", *flags, "-"], input=text, capture_output=True,
                              text=True, timeout=600)

    def split(self, texts, *flags):
        """Runs a batch at once; gives the numbers of the modules that an error names."""
        marked = "\n// -----\n".join(texts)
        done = self.run(marked, "--split-input-file", *flags)
        starts, line = [], 1
        for text in texts:
            starts.append(line)
            line += text.count("\n") + 2
        bad = {}
        for m in re.finditer(r"^<stdin>:(\d+):\d+: error: (.*)$", done.stderr, re.M):
            k = max(j for j, start in enumerate(starts) if start <= int(m[1]))
            bad.setdefault(k, m[2])
        return bad, done

    def fused(self, texts):
        """How many fused ops each text gets; -1 where fiar-fuse fails."""
        _, done = self.split(texts, f"--pass-pipeline=builtin.module(fiar-fuse{{{self.options}}})")
        outputs = done.stdout.split("// -----")
        if len(outputs) != len(texts) or done.returncode != 0:  # one of them failed
            return [self.fused([text])[0] for text in texts] if len(texts) > 1 else [-1]
        return [output.count('"fiar.all_reduce_norm"(') for output in outputs]


def made_models(script):
    """Every norm and quantiser, each with another dtype and number of ranks."""
    models = []
    for norm in ("llama", "gemma", "torch"):
        for quant in ("none", "fp8", "fp8_token", "nvfp4"):
            n = len(models)
            flags = [f"--norm={norm}", f"--quant={quant}", f"--dtype={('bf16', 'f16', 'f32')[(n + n // 4) % 3]}",
                     f"--world={(2, 4, 8)[n % 3]}", "--tokens=3", "--hidden=64", "--layers=1"]
            done = subprocess.run([sys.executable, script, *flags], capture_output=True, text=True, check=True)
            models.append((" ".join(flags), done.stdout))
    return models


def made_variants(script):
    """Random combinations of every form that the fuse tests can spell."""
    done = subprocess.run([sys.executable, script, "print", "100"], capture_output=True, text=True, check=True)
    return [(f"variant {n}", text) for n, text in enumerate(done.stdout.split("// -----"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiar_opt")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for the survivors")
    parser.add_argument("--models", help="bench/make_model.py: mutate what it makes, too")
    parser.add_argument("--variants", help="lit-tests/fuse/Inputs/variants.py: the same")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    rng, tool = random.Random(args.seed), Tool(args.fiar_opt)
    originals = []
    sources = [(path, open(path).read()) for path in args.files]
    sources += made_models(args.models) if args.models else []
    sources += made_variants(args.variants) if args.variants else []
    for name, text in sources:
        done = tool.run(text)
        if done.returncode != 0:
            sys.exit(f"{name} does not parse:\n{done.stderr}")
        originals.append((name, done.stdout.rstrip("\n"), tool.fused([done.stdout])[0]))
    survivors = made = still_fused = 0
    by_kind = {}
    while made < args.count:
        batch = []
        while len(batch) < BATCH:
            path, text, fused = rng.choice(originals)
            keeps = rng.random() < 1 / 3
            mutator = rng.choice(KEEPS if keeps else CHANGES)
            mutant = mutator(text.split("\n"), rng)
            if mutant is not None and mutant != text.split("\n"):
                batch.append((path, mutator, "\n".join(mutant), fused if keeps else None))
        unparsable, _ = tool.split([m[2] for m in batch])
        batch = [m for k, m in enumerate(batch) if k not in unparsable]
        bad, done = tool.split([m[2] for m in batch], f"--pass-pipeline=builtin.module(fiar-check{{first-seed={made}}})")
        if done.returncode not in (0, 1):
            bad[0] = f"fiar-opt ended with {done.returncode}: {done.stderr[-300:]}"
        keeping = [k for k, m in enumerate(batch) if k not in bad and m[3] is not None]
        counts = dict(zip(keeping, tool.fused([batch[k][2] for k in keeping]) if keeping else []))
        for k, (path, mutator, text, fused) in enumerate(batch):
            reason = bad.get(k)
            if reason == "the rewrite failed" and fused is None:
                reason = None  # refused
            if k in counts:
                now = counts[k]
                reason = None if now == fused else f"fused {now} times, the original {fused}"
                still_fused += reason is None
            by_kind[mutator.__name__] = by_kind.get(mutator.__name__, 0) + 1
            if reason is not None:
                survivors += 1
                print(f"survivor: {mutator.__name__} of {path}: {reason}", flush=True)
                if args.keep:
                    os.makedirs(args.keep, exist_ok=True)
                    with open(os.path.join(args.keep, f"{survivors}_{mutator.__name__}.mlir"), "w") as out:
                        out.write(text + "\n")
        made += len(batch)
    print(", ".join(f"{name} {count}" for name, count in sorted(by_kind.items())))
    print(f"{made} mutants, {still_fused} kept their meaning and their fusions, {survivors} survivors")
    sys.exit(survivors != 0)


if __name__ == "__main__":
    main()
