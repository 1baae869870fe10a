#!/bin/sh
# run_tests.sh BUILD_DIR RESULTS_DIR: runs ctest, then lit, and leaves their JUnit files in RESULTS_DIR.
set -u
build=$1
mkdir -p "$2"
results=$(cd "$2" && pwd)
status=0
ctest --test-dir "$build" --output-on-failure --output-junit "$results/ctest.xml" || status=1
if [ -f "$build/lit-tests/lit.site.cfg.py" ]; then
  lit=$(sed -n 's/^FIAR_LIT:FILEPATH=//p' "$build/CMakeCache.txt")
  "$lit" -s --allow-empty-runs --xunit-xml-output "$results/lit.xml" "$build/lit-tests" || status=1
fi
exit $status
