#!/bin/sh
# run_tests.sh BUILD_DIR: ctest, then lit; adds their counts up. No test run at all is a failure.
set -u
build=$1
results=$build/test-results
mkdir -p "$results"
rm -f "$results"/*.xml
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=ignore --output-junit "$PWD/$results/ctest.xml" || status=1
if [ -f "$build/lit-tests/lit.site.cfg.py" ]; then
  python3 /usr/lib/llvm-22/build/utils/lit/lit.py -s --timeout 300 --xunit-xml-output "$results/lit.xml" "$build/lit-tests" || status=1
fi
python3 cmake/count_tests.py "$results" || status=1
exit $status
