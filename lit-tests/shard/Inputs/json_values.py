# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads the JSON reports on standard input, one after another, and checks that their counts are those of their rows."""
import json
import sys

text, decoder, reports = sys.stdin.read(), json.JSONDecoder(), 0
while text.strip():
    report, end = decoder.raw_decode(text.lstrip())
    text, reports = text.lstrip()[end:], reports + 1
    assert report["pass"] == "fiar-shard-residual"
    assert report["seen"] == len(report["calls"])
    assert report["sharded"] == sum(call["sharded"] for call in report["calls"])
assert reports > 0
