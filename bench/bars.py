#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Holds fiar-bench's results against the project's bars for speed.

    bars.py FILE.json...

Prints a line a bar and number of ranks: the worst point, its value, the bar, and whether it is met.
Peers are the baselines of the files; where FlashInfer was not run, its recorded times on H200
(recorded_h200.json) stand in for it at the points that the record has. Exit status 1 where a bar is
missed.
"""
import json
import math
import os
import sys

import plot

HERE = os.path.dirname(os.path.abspath(__file__))


class Results:
    """The graph points of one number of ranks, bf16, with the peers beside them."""

    def __init__(self, results, ranks, recorded):
        self.ranks, self.recorded = ranks, recorded
        self.table = plot.groups([result for result in results if result["ranks"] == ranks])

    def group(self, hidden, residual="full", quant="fp8_static", launch="graph"):
        return (self.ranks, hidden, "bf16", quant, residual, launch)

    def points(self, residual="full", quant="fp8_static", launch="graph", hiddens=None):
        """(tokens, hidden, {impl: result}) of fiar's points."""
        for group, points in self.table.items():
            if group[2:] == ("bf16", quant, residual, launch) and (not hiddens or group[1] in hiddens):
                for tokens, impls in sorted(points.items()):
                    if "fiar" in impls:
                        yield tokens, group[1], impls

    def flashinfer(self, tokens, hidden):
        impls = self.table.get(self.group(hidden), {}).get(tokens, {})
        times = [result["us"] for name, result in impls.items() if name.startswith("flashinfer")]
        if not times:
            record = (self.recorded.get(f"{self.ranks} {hidden} {peer}", {}) for peer in ("flashinfer", "best"))
            times = [points[str(tokens)] for points in record if str(tokens) in points]
        return min(times) if times else None

    def peer(self, tokens, hidden, residual):
        """The best peer's time: the run's baselines and FlashInfer."""
        times = [plot.best_baseline(self.table, self.group(hidden, residual), tokens),
                 self.flashinfer(tokens, hidden)]
        times = [time for time in times if time]
        return min(times) if times else None

    def gains(self, residual, keep):
        for tokens, hidden, impls in self.points(residual):
            peer = self.peer(tokens, hidden, residual)
            if peer and keep(tokens):
                yield peer / impls["fiar"]["us"], f"{tokens} x {hidden}"


def mean(values):
    values = [value for value, _ in values]
    return [(math.exp(sum(map(math.log, values)) / len(values)), f"{len(values)} points")] if values else []


def worse_than_floor(results, residual, keep):
    return [(impls["fiar"]["us"] / impls["fiar"]["floor_us"], f"{tokens} x {hidden}")
            for tokens, hidden, impls in results.points(residual) if keep(tokens) and "floor_us" in impls["fiar"]]


def other_formats(results):
    fp8 = {(tokens, hidden): impls["fiar"]["us"] for tokens, hidden, impls in results.points()}
    quants = {group[3] for group in results.table} - {"fp8_static"}
    return [(impls["fiar"]["us"] / fp8[tokens, hidden], f"{quant} at {tokens} x {hidden}") for quant in quants
            for tokens, hidden, impls in results.points(quant=quant) if (tokens, hidden) in fp8]


def selection(results):
    return [(impls["fiar"]["us"] / min(impls[name]["us"] for name in ("oneshot", "twoshot") if name in impls),
             f"{tokens} x {hidden}") for tokens, hidden, impls in results.points()
            if "oneshot" in impls or "twoshot" in impls]


def against_flashinfer(results, keep, hiddens):
    times = [(results.flashinfer(tokens, hidden), impls["fiar"]["us"], f"{tokens} x {hidden}")
             for tokens, hidden, impls in results.points(hiddens=hiddens) if keep(tokens)]
    return [(peer / ours, where) for peer, ours, where in times if peer]


def record(results):
    """How far the run's NCCL baseline is from the record, taken as that was: the shortest time of the ranks, one
    set of arrays. A weak baseline is no victory."""
    ratios = []
    for tokens, hidden, impls in results.points():
        recorded = results.recorded.get(f"{results.ranks} {hidden} nccl", {}).get(str(tokens))
        if recorded and impls.get("nccl", {}).get("sets") == 1:
            ratio = impls["nccl"]["least_us"] / recorded
            ratios.append((max(ratio, 1 / ratio), f"{tokens} x {hidden}"))
    return ratios


def bars(results):
    """(what, values with their points, "least" or "most", bar)"""
    four = results.ranks == 4
    yield "NCCL baseline beside its record", record(results), "most", 1.15
    yield "full, to 1024 tokens: x best peer", list(results.gains("full", lambda t: t <= 1024)), "least", 1.2
    yield "full, above: x best peer", list(results.gains("full", lambda t: t > 1024)), "least", 1.1
    yield "full: x best peer, geometric mean", mean(results.gains("full", lambda t: True)), "least", 1.5
    yield "1-4 tokens x 4096: us", [
        (impls["fiar"]["us"], f"{tokens} x {hidden}")
        for tokens, hidden, impls in results.points(hiddens=[4096]) if tokens <= 4 and four], "most", 3.5
    yield "1-16 tokens x 7168, 8192: x FlashInfer", (
        against_flashinfer(results, lambda t: t <= 16, [7168, 8192]) if four else []), "least", 1.4
    yield "full, from 1024 tokens: x floor", worse_than_floor(results, "full", lambda t: t >= 1024), "most", 1.15
    yield "sharded, from 64 tokens: x best peer", list(
        results.gains("token_shard", lambda t: t >= 64)), "least", 1.6
    yield "sharded, 64 to 2048: geometric mean", mean(
        results.gains("token_shard", lambda t: 64 <= t <= 2048)), "least", 2.0
    yield "sharded, above 2048: geometric mean", mean(
        results.gains("token_shard", lambda t: t > 2048)), "least", 1.5
    yield "sharded, from 2048: x floor", worse_than_floor(results, "token_shard", lambda t: t >= 2048), "most", 1.12
    yield "other formats: x static fp8", other_formats(results), "most", 1.05
    yield "selection: x best algorithm", selection(results), "most", 1.03
    yield "host cost of an eager call: us", [
        (impls["fiar"]["host_us"], f"{tokens} x {hidden}")
        for tokens, hidden, impls in results.points(launch="eager")], "most", 4.0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(os.path.join(HERE, "recorded_h200.json"), encoding="utf-8") as file:
        recorded = json.load(file)["points"]
    results = plot.load(sys.argv[1:])
    missed = 0
    print(f"{'ranks':>5}  {'what':40} {'worst':>7} {'bar':>6}  at")
    for ranks in sorted({result["ranks"] for result in results}, reverse=True):
        for what, values, kind, bar in bars(Results(results, ranks, recorded)):
            if not values:
                continue
            worst, where = (min if kind == "least" else max)(values)
            met = worst >= bar if kind == "least" else worst <= bar
            missed += not met
            print(f"{ranks:5d}  {what:40} {worst:7.2f} {bar:6.2f}  {where}{'' if met else '   MISSED'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
