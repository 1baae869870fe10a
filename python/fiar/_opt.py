# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs fiar-opt on the text of a StableHLO module, or takes what it gave before from a folder."""
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

import fiar
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
        plural = "" if self.seen == 1 else "s"
        lines = [f"{self.seen} all-reduce{plural} seen, {self.fused} fused, {self.refused} left"]
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


def rewrite(text, passes):
    """The module after `passes`, fiar-fuse{report=json} among them, and its Report.

    With FIAR_REWRITE_CACHE, a folder, a rewrite that is in it needs no fiar-opt; others are added.
    """
    folder = os.environ.get("FIAR_REWRITE_CACHE")
    if not folder:
        rewritten, stderr = run(text, passes)
        return rewritten, read_report(stderr)
    file = pathlib.Path(folder) / f"{cache_key(text, passes)}.mlir"
    if not file.exists():
        try:
            rewritten, stderr = run(text, passes)
        except _home.NotFound as error:
            raise _home.NotFound(f"{error}; and FIAR_REWRITE_CACHE, {folder}, has no {file.name}, the record of "
                                 "this module") from None
        _write(file, f"{_HEADER}{json.dumps(dataclasses.asdict(read_report(stderr)))}\n{rewritten}")
    header, rewritten = file.read_text().split("\n", 1)
    found = json.loads(header.removeprefix(_HEADER))
    return rewritten, Report(**{**found, "rows": tuple(found["rows"])})


def cache_key(text, passes):
    """The name of a rewrite: of fiar's version, the passes, and the module without its locations,
    which name the files of one machine."""
    parts = [fiar.__version__, *passes, _LOCATIONS.sub(lambda found: found[1] or "", text)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


_HEADER = "// fiar-fuse: "
_STRING = r'"(?:[^"\\]|\\.)*"'
_NESTED = rf'(?:[^()"]|{_STRING})*'
for _ in range(4):  # loc("name"(callsite("a" at "b"(#loc1))))
    _NESTED = rf'(?:[^()"]|{_STRING}|\({_NESTED}\))*'
_LOCATIONS = re.compile(rf"({_STRING})|^#loc\d* = .*\n?| loc\({_NESTED}\)", re.MULTILINE)  # strings stay


def _write(file, text):
    """Whole or not at all, also where several processes write the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as part:
        part.write(text)
    os.replace(part.name, file)


def read_report(stderr):
    """The Report in the output of fiar-fuse{report=json}; remarks around it become its notes."""
    start = stderr.find("{")
    if start < 0:
        return Report(0, 0, 0, (), stderr.strip())
    found, end = json.JSONDecoder().raw_decode(stderr[start:])
    notes = (stderr[:start] + stderr[start + end:]).strip()
    return Report(found.get("seen", 0), found.get("fused", 0), found.get("refused", 0),
                  tuple(found.get("all_reduces", ())), notes)
