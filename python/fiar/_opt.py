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
        lines = [f"{self.seen} all-reduces: {self.fused} fused, {self.refused} left"]
        for row in self.rows:
            what = row.get("pattern") or row.get("what") or ""
            why = row.get("reason") or ""
            lines.append(f"  {row.get('location', '?')}: " + (f"fused {what}" if row.get("fused") else f"left: {why}"))
        return "\n".join(lines + ([self.notes] if self.notes else []))


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
