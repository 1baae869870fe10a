"""Builds StableHLO text op by op, and runs fiar-fuse on many modules at once.

A value is (name, shape, element type); shapes may hold "?". Every form of the tests is a function that
takes a Builder and parameters, so sizes, eps, world, types and operand order vary freely."""
import json
import re
import subprocess


class Builder:
    def __init__(self, world=4, groups=None, random=None):
        self.args, self.lines, self.functions, self.n, self.same = [], [], [], 0, set()
        self.world, self.random = world, random
        self.groups = groups or f"dense<[[{', '.join(map(str, range(world)))}]]> : tensor<1x{world}xi64>"

    @staticmethod
    def type(value_or_shape, elem=None):
        shape, elem = value_or_shape[1:] if elem is None else (value_or_shape, elem)
        return "tensor<" + "".join(f"{d}x" for d in shape) + elem + ">"

    def name(self):
        self.n += 1
        return f"%v{self.n}"

    def arg(self, shape, elem, same=False):
        """same: on all ranks, and the function says so."""
        value = (f"%a{len(self.args)}", tuple(shape), elem)
        self.args.append(value)
        self.same |= {value[0]} if same else set()
        return value

    def op(self, text, operands, shape, elem, attributes=""):
        value = (self.name(), tuple(shape), elem)
        types = ", ".join(map(self.type, operands))
        self.lines.append(f'{value[0]} = "{text}"({", ".join(o[0] for o in operands)}) {attributes}: '
                          f"({types}) -> {self.type(value)}")
        return value

    def ew(self, name, *operands, elem=None):
        return self.op(name if "." in name else "stablehlo." + name, operands, operands[0][1], elem or operands[0][2])

    def commuted(self, name, a, b):
        """a + b or b + a, as the seed has it."""
        return self.ew(name, *((b, a) if self.random and self.random.random() < 0.5 else (a, b)))

    def constant(self, number, elem="f32", shape=()):
        text = number if isinstance(number, str) else (f"{number:.9e}" if "f" in elem else str(number))
        value = (self.name(), tuple(shape), elem)
        self.lines.append(f'{value[0]} = "stablehlo.constant"() <{{value = dense<{text}> : {self.type(value)}}}> '
                          f": () -> {self.type(value)}")
        return value

    def broadcast(self, value, shape, dims):
        name, operands = "stablehlo.broadcast_in_dim", [value]
        if "?" in shape:
            name, operands = "stablehlo.dynamic_broadcast_in_dim", [value, self.sizes(shape)]
        return self.op(name, operands, shape, value[2],
                       f"<{{broadcast_dimensions = array<i64{': ' if dims else ''}{', '.join(map(str, dims))}>}}> ")

    def sizes(self, shape):
        """The shape as a tensor; dynamic sizes are those of the first argument's rows."""
        parts = []
        for i, size in enumerate(shape):
            if size == "?":
                scalar = self.op("stablehlo.get_dimension_size", [self.args[0]], [], "i32", f"<{{dimension = {i} : i64}}> ")
                parts.append(self.reshape(scalar, [1]))
            else:
                parts.append(self.constant(size, "i32", [1]))
        return self.op("stablehlo.concatenate", parts, [len(shape)], "i32", "<{dimension = 0 : i64}> ")

    def splat(self, number, like, elem=None):
        """A constant in the shape of another value, spelled in one of the ways that real modules use."""
        elem = elem or like[2]
        way = self.random.choice(["full", "scalar", "f64"]) if self.random else "scalar"
        if "?" in like[1]:
            way = "scalar"
        if way == "full":
            return self.constant(number, elem, like[1])
        scalar = self.constant(number, "f64" if way == "f64" else elem)
        if way == "f64":
            scalar = self.convert(scalar, elem)
        return self.broadcast(scalar, like[1], [])

    def convert(self, value, elem):
        return self.op("stablehlo.convert", [value], value[1], elem)

    def reshape(self, value, shape):
        return self.op("stablehlo.reshape", [value], shape, value[2])

    def transpose(self, value, permutation):
        return self.op("stablehlo.transpose", [value], [value[1][i] for i in permutation], value[2],
                       f"<{{permutation = array<i64: {', '.join(map(str, permutation))}>}}> ")

    def reduce(self, kind, value, dims, init=None):
        init = self.constant("0xFF800000" if kind == "maximum" and value[2] == "f32" else
                             init if init is not None else 0.0, value[2])
        out = (self.name(), tuple(d for i, d in enumerate(value[1]) if i not in dims), value[2])
        e = value[2]
        a, b = ("%x, %y", "%y, %x")[bool(self.random and self.random.random() < 0.5)].split(", ")
        self.lines.append(
            f'{out[0]} = "stablehlo.reduce"({value[0]}, {init[0]}) <{{dimensions = array<i64: '
            f'{", ".join(map(str, dims))}>}}> ({{\n    ^bb0(%x: tensor<{e}>, %y: tensor<{e}>):\n'
            f'      %r = "stablehlo.{kind}"({a}, {b}) : (tensor<{e}>, tensor<{e}>) -> tensor<{e}>\n'
            f'      "stablehlo.return"(%r) : (tensor<{e}>) -> ()\n'
            f"    }}) : ({self.type(value)}, tensor<{e}>) -> {self.type(out)}")
        return out

    def all_reduce(self, value, kind="add", attributes=None, promoted=False):
        out = (self.name(), value[1], value[2])
        e = value[2]
        body = f'%r = "stablehlo.{kind}"(%x, %y) : (tensor<{e}>, tensor<{e}>) -> tensor<{e}>'
        if promoted:
            body = "\n      ".join(
                [f'%xw = "stablehlo.convert"(%x) : (tensor<{e}>) -> tensor<f32>',
                 f'%yw = "stablehlo.convert"(%y) : (tensor<{e}>) -> tensor<f32>',
                 f'%rw = "stablehlo.{kind}"(%yw, %xw) : (tensor<f32>, tensor<f32>) -> tensor<f32>',
                 f'%r = "stablehlo.convert"(%rw) : (tensor<f32>) -> tensor<{e}>'])
        attributes = attributes or ("channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, "
                                    f"replica_groups = {self.groups}, use_global_device_ids")
        self.lines.append(
            f'{out[0]} = "stablehlo.all_reduce"({value[0]}) <{{{attributes}}}> ({{\n'
            f"    ^bb0(%x: tensor<{e}>, %y: tensor<{e}>):\n      {body}\n"
            f'      "stablehlo.return"(%r) : (tensor<{e}>) -> ()\n'
            f"    }}) : ({self.type(value)}) -> {self.type(out)}")
        return out

    def call(self, function, operands, shape, elem, body):
        """A call of a private function; body(builder, arguments) gives its result."""
        [value] = self.calls(function, operands, lambda inner, arguments: [body(inner, arguments)])
        return value[0], tuple(shape), elem

    def calls(self, function, operands, body):
        """The same with several results."""
        inner = Builder(self.world, self.groups, self.random)
        inner.functions = self.functions
        arguments = [inner.arg(o[1], o[2]) for o in operands]
        results = body(inner, arguments)
        types = ", ".join(map(self.type, results))
        types = f"({types})" if len(results) > 1 else types
        name = f"{function}_{len(self.functions)}"
        self.functions.append(
            f"func.func private @{name}({', '.join(f'{a[0]}: {self.type(a)}' for a in arguments)}) -> {types} {{\n    "
            + "\n    ".join(inner.lines) + f"\n    return {', '.join(r[0] for r in results)} : {types.strip('()')}\n  }}")
        value = self.name()
        count = f":{len(results)}" if len(results) > 1 else ""
        self.lines.append(f"{value}{count} = func.call @{name}({', '.join(o[0] for o in operands)}) : "
                          f"({', '.join(map(self.type, operands))}) -> {types}")
        return [(f"{value}#{i}" if count else value, r[1], r[2]) for i, r in enumerate(results)]

    def module(self, *results, attributes=""):
        says = ' {mhlo.sharding = "{replicated}"}'
        args = ", ".join(f"{a[0]}: {self.type(a)}{says if a[0] in self.same else ''}" for a in self.args)
        types = ", ".join(map(self.type, results))
        return (f"module {attributes}{{\n  func.func @main({args}) -> ({types}) {{\n    " + "\n    ".join(self.lines) +
                f"\n    return {', '.join(r[0] for r in results)} : {types}\n  }}\n  " + "\n  ".join(self.functions) + "\n}\n")


def parse_fused(line):
    """The attributes and types of one printed fiar.all_reduce_norm."""
    found = dict(re.findall(r'(\w+) = "?([^",{}<>]+?)"?(?= :|[,}])', line))
    sizes = lambda key: [int(x) for x in re.search(key + r" = array<i32: ([0-9, ]+)>", line).group(1).split(",")]
    results = [n for n, s in zip(["sum", "residual", "norm", "quant", "scales"], sizes("resultSegmentSizes")) if s]
    operands = [n for n, s in zip(["x", "residual", "weight", "scale"], sizes("operandSegmentSizes")) if s]
    inputs, outputs = re.search(r": \(([^()]*)\) -> \(?([^()]*)\)?$", line).groups()
    found.update(operands=operands, results=results, inputs=inputs.split(", "), outputs=outputs.split(", "))
    return found


def fuse(fiar_opt, modules, flags=""):
    """Fuses each module; gives (fused ops, report, text) for each."""
    text = "\n// -----\n".join(modules)
    run = subprocess.run([fiar_opt, "--split-input-file", f"--pass-pipeline=builtin.module(fiar-fuse{{report=json {flags}}})"],
                         input=text, capture_output=True, text=True)
    if run.returncode != 0:
        errors = [line for line in run.stderr.splitlines() if "error:" in line]
        raise SystemExit("fiar-opt failed:\n" + "\n".join(errors[:5]))
    reports = [json.loads(r) for r in re.findall(r'^\{"pass".*?^  "refusals": .*?\}\n', run.stderr, re.S | re.M)]
    outputs = run.stdout.split("// -----")
    assert len(reports) == len(outputs) == len(modules), (len(reports), len(outputs), len(modules))
    return [([parse_fused(l) for l in o.splitlines() if '"fiar.all_reduce_norm"(' in l], r, o)
            for o, r in zip(outputs, reports)]
