#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plots and prints what fiar-bench wrote as JSON.

    plot.py FILE.json... --plot times.svg     microseconds over tokens, a panel a group of points
    plot.py FILE.json... --table              one line a point: every time, and fiar's gain

Several files are read as one. The plot needs matplotlib; the table needs nothing.
"""
import argparse
import collections
import json
import math
import os
import sys

GROUP = ("ranks", "hidden", "dtype", "quant", "residual", "launch")


def load(paths):
    """All served results of the files."""
    results = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data.get("schema") != "fiar-bench/1":
            sys.exit(f"{path}: not written by fiar-bench --format json")
        results += [result for result in data["results"] if "us" in result]
    return results


def groups(results):
    """{group: {tokens: {impl: result}}}, in the order of the files."""
    table = collections.OrderedDict()
    for result in results:
        points = table.setdefault(tuple(result[key] for key in GROUP), {})
        points.setdefault(result["tokens"], {})[result["impl"]] = result
    return table


def title(group):
    ranks, hidden, dtype, quant, residual, launch = group
    return f"{ranks} ranks, hidden {hidden}, {dtype}, {quant}, residual {residual}, {launch}"


def best_baseline(table, group, tokens):
    """The least time of a baseline. One that has no sharded residual counts with the full one."""
    full = group[:4] + ("full",) + group[5:]
    alike = [group, full] if group[4] in ("token_shard", "token_block") else [group]
    times = [result["us"] for key in alike for result in table.get(key, {}).get(tokens, {}).values()
             if result["baseline"]]
    return min(times) if times else None


def print_table(results):
    gains = []
    table = groups(results)
    for group, points in table.items():
        names = list(dict.fromkeys(name for impls in points.values() for name in impls))
        widths = [max(8, len(name)) for name in names]
        print(f"\n{title(group)}")
        print("  tokens", *(name.rjust(width) for name, width in zip(names, widths)), "  x best x floor")
        for tokens, impls in sorted(points.items()):
            cells = [f"{impls[name]['us']:.2f}" if name in impls else "-" for name in names]
            best, ours = best_baseline(table, group, tokens), impls.get("fiar")
            gain = best / ours["us"] if best and ours else None
            floor = ours["us"] / ours["floor_us"] if ours and "floor_us" in ours else None
            gains += [gain] if gain else []
            print(f"{tokens:8d}", *(cell.rjust(width) for cell, width in zip(cells, widths)),
                  *(f"{ratio:7.2f}" if ratio else "      -" for ratio in (gain, floor)))
    if gains:
        mean = math.exp(sum(map(math.log, gains)) / len(gains))
        print(f"\nfiar against the best baseline: {mean:.2f}x in geometric mean over {len(gains)} points, "
              f"least {min(gains):.2f}x")


def plot(results, path):
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot.py: --plot needs matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    table = groups(results)
    columns = min(2, len(table))
    rows = -(-len(table) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(7 * columns, 5 * rows), squeeze=False)
    for axis in axes.flat[len(table):]:
        axis.set_axis_off()
    for axis, (group, points) in zip(axes.flat, table.items()):
        for name in dict.fromkeys(name for impls in points.values() for name in impls):
            served = sorted((tokens, impls[name]) for tokens, impls in points.items() if name in impls)
            tokens, times = zip(*((count, result["us"]) for count, result in served))
            style = "--" if served[0][1]["baseline"] else "-"
            axis.plot(tokens, times, style, marker=".", label=name, linewidth=2 if name == "fiar" else 1)
        floor = sorted((tokens, impls["fiar"]["floor_us"]) for tokens, impls in points.items()
                       if "floor_us" in impls.get("fiar", {}))
        if floor:
            axis.plot(*zip(*floor), ":", color="black", label="floor")
        axis.set(xscale="log", yscale="log", xlabel="tokens", ylabel="us a call", title=title(group))
        axis.set_xscale("log", base=2)
        axis.grid(True, which="both", alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("--plot", metavar="PICTURE", help="written in the format that its name ends in")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    for path in arguments.files:
        if not os.path.exists(path):
            parser.error(f"{path} does not exist")
    results = load(arguments.files)
    if arguments.table or not arguments.plot:
        print_table(results)
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
