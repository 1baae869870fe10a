# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs fiar-opt on the text of a StableHLO module."""
import dataclasses
import json
import subprocess

from fiar import _home


class RewriteError(RuntimeError):
    """fiar-opt refused a module; the text is what it said."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What fiar-fuse found in a module. `str()` gives a table, one row an all-reduce."""

    seen: int
    fused: int
    refused: int
    rows: tuple  # dicts, as fiar-fuse's JSON report has them
    notes: str = ""  # remarks about the module as a whole

    def __str__(self):
        lines = [f"{self.seen} all-reduces seen, {self.fused} fused, {self.refused} left"]
        lines += [f"  {row['location']}  {_row_text(row)}" for row in self.rows]
        return "\n".join(lines + ([self.notes] if self.notes else []))


def _row_text(row):
    if not row["fused"]:
        return f"left   {row['reason']} ({row['reason_at']})"
    form = ("residual + " if row["residual"] else "") + "RMSNorm"
    form += "" if row["quant"] == "none" else f" + {row['quant']}"
    text = f"fused  {form}  world {row['world']}  -> {', '.join(row['results'])}"
    if "quant_left" in row:
        text += f"; without its quantiser: {row['quant_left']} ({row['quant_left_at']})"
    return text


def run(text, passes):
    """The module after `passes`, and what went to standard error."""
    command = [_home.find("bin/fiar-opt"), f"--pass-pipeline=builtin.module({','.join(passes)})",
               "--mlir-print-debuginfo", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RewriteError(f"fiar-opt failed with status {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout, done.stderr


def read_report(stderr):
    """The Report in the output of fiar-fuse{report=json}; remarks around it become its notes."""
    start = stderr.find("{")
    if start < 0:
        return Report(0, 0, 0, (), stderr.strip())
    found, end = json.JSONDecoder().raw_decode(stderr[start:])
    notes = (stderr[:start] + stderr[start + end:]).strip()
    return Report(found.get("seen", 0), found.get("fused", 0), found.get("refused", 0),
                  tuple(found.get("all_reduces", ())), notes)
