#!/usr/bin/env python3
"""count_tests.py DIR: adds up the JUnit files DIR/PRESET/*.xml of a test run.

Prints each skipped test with its reason, then 'N passed, N failed, N skipped'. Exit status 1 where
anything failed or nothing ran.
"""
import glob
import sys
import xml.etree.ElementTree as ET


def reason_of(case):
    """Why it was skipped: what the program itself said last, where CTest knows no more than its exit status."""
    skip = case.find("skipped")
    reason = skip.get("message") if skip is not None else None
    said = (case.findtext("system-out") or "").strip().splitlines()
    if reason and reason.startswith("SKIP_RETURN_CODE") and said:
        reason = said[-1].removeprefix("skipped: ")
    return reason or "no reason given"


passed = failed = 0
skipped = []
for path in sorted(glob.glob(sys.argv[1] + "/*/*.xml")):
    preset = path.split("/")[-2]
    for case in ET.parse(path).getroot().iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"failed: {preset}: {case.get('name')}")
        elif skip is not None or case.get("status") in ("notrun", "disabled"):
            skipped.append(f"skipped: {preset}: {case.get('name')}: {reason_of(case)}")
        else:
            passed += 1
print("\n".join(skipped), end="\n" if skipped else "")
print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
sys.exit(failed != 0 or passed == 0)
