"""Blocks in many spellings, sizes and element types: each must be raised entirely, or lose exactly what is named.

    variants.py FIAR_OPT
    variants.py print       the modules themselves

Every case is one function of StableHLO: a, w -> product [-> scale] [-> bias] -> ... ; the report says what became of it.
"""
import itertools
import json
import subprocess
import sys

class Body:
    """StableHLO in text; values are named as they come."""

    def __init__(self):
        self.lines, self.count = [], 0

    def op(self, text, kind):
        name = f"%v{self.count}"
        self.count += 1
        self.lines.append(f"  {name} = stablehlo.{text}")
        return name, kind

    def convert(self, value, element):
        if value[1].endswith(element + ">") and not value[1].endswith("b" + element + ">"):
            return value
        to = value[1].replace(value[1].split("x")[-1], element + ">") if "x" in value[1] else f"tensor<{element}>"
        return self.op(f"convert {value[0]} : ({value[1]}) -> {to}", to)

    def binary(self, name, a, b):
        return self.op(f"{name} {a[0]}, {b[0]} : {a[1]}", a[1])

    def broadcast(self, value, dims, to):
        return self.op(f"broadcast_in_dim {value[0]}, dims = [{dims}] : ({value[1]}) -> {to}", to)


def kind(element, *sizes):
    return f"tensor<{'x'.join([*map(str, sizes), element])}>"


def product(m, n, k, element, out, transposed, scale, bias):
    body, arguments = Body(), []

    def argument(type_):
        arguments.append(f"%a{len(arguments)}: {type_}")
        return f"%a{len(arguments) - 1}", type_

    a = argument(kind(element, m, k))
    w = argument(kind(element, n, k) if transposed else kind(element, k, n))
    wide = kind("f32", m, n)
    value = body.op(f"dot_general {a[0]}, {w[0]}, contracting_dims = [1] x [{1 if transposed else 0}] : "
                    f"({a[1]}, {w[1]}) -> {wide}", wide)
    if scale == "scalars":
        both = body.binary("multiply", argument(kind("f32")), argument(kind("f32")))
        value = body.binary("multiply", value, body.broadcast(both, "", wide))
    elif scale == "rows":
        rows = body.broadcast(argument(kind("f32", m, 1)), "0, 1", wide)
        value = body.binary("multiply", rows, value)
    elif scale == "one_by_one":
        value = body.binary("multiply", value, body.broadcast(argument(kind("f32")), "", wide))
        value = body.binary("multiply", body.broadcast(argument(kind("f32", m, 1)), "0, 1", wide), value)
        value = body.binary("multiply", value, body.broadcast(argument(kind("f32", n)), "1", wide))
    elif scale == "rows_scalar":
        rows = argument(kind("f32", m, 1))
        both = body.binary("multiply", rows, body.broadcast(argument(kind("f32")), "", rows[1]))
        value = body.binary("multiply", value, body.broadcast(both, "0, 1", wide))
    if bias:
        value = body.binary("add", body.broadcast(argument(kind("f32", n)), "1", wide), value)
    value = body.convert(value, out)
    return body, arguments, value


def module(body, arguments, value):
    return "\n".join([f"func.func @f({', '.join(arguments)}) -> {value[1]} {{", *body.lines,
                      f"  return {value[0]} : {value[1]}", "}"])


def reports_of(opt, modules):
    """The pass's report on each of the modules, which one process reads."""
    pipeline = "builtin.module(fiar-raise-block{report=json})"
    done = subprocess.run([opt, "--split-input-file", f"--pass-pipeline={pipeline}", "-o", "/dev/null"],
                          input="\n// -----\n".join(modules), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"fiar-opt failed:\n{done.stderr[:2000]}")
    reports, at = [], done.stderr.find('{"pass"')
    while at >= 0:
        report, at = json.JSONDecoder().raw_decode(done.stderr, at)
        reports.append(report)
        at = done.stderr.find('{"pass"', at)
    assert len(reports) == len(modules), (len(reports), len(modules))
    return reports


def main():
    cases = [(m, n, k, element, out, transposed, scale, bias) for (m, n, k), element, out, transposed, scale, bias in
             itertools.product([(4, 16, 32), (16, 16, 16), (1, 48, 8)], ["f16", "bf16", "f32", "f8E4M3FN"],
                               ["f16", "bf16", "f32"], [False, True], ["none", "scalars", "rows", "rows_scalar", "one_by_one"],
                               [False, True])
             if not (bias and m == 1)]  # one row of bias could be a residual: left by design
    modules = [module(*product(*case)) for case in cases]
    if sys.argv[1] == "print":
        return print("\n// -----\n".join(modules))
    for case, found in zip(cases, reports_of(sys.argv[1], modules)):
        if found["made"] != {"matmul": 1} or found["left"] != 0:
            sys.exit(f"{case}: {found}")
    return print(f"{len(cases)} products are one op each")


main()
