#!/bin/sh
# run_tests.sh BUILD_DIR RESULTS_DIR: runs ctest, then lit, and leaves their JUnit files in RESULTS_DIR. Where nothing
# that a test could see has changed since all last passed, their results of then stand; FIAR_TEST_AGAIN=1 runs them anyway.
set -u
build=$1
mkdir -p "$2"
results=$(cd "$2" && pwd)
passed=$build/tests-passed # the JUnit files of the last run that passed, and what it had seen

# The programs, the checkout's files and what of the machine decides which tests can run.
what_tests_see() {
  find "$build/bin" "$build/lib" -type f -print0 | sort -z | xargs -0 sha256sum
  git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>&1
  command -v mpirun mlir-opt-22 nvidia-smi pkg-config python3 cc cmake ninja
  nvidia-smi -L 2>&1
  ls "${FIAR_SHARED:-../shared}/ir" 2>&1
  date +%G-%V # once a week in any case
}
if [ -z "${FIAR_TEST_AGAIN:-}" ] && [ -f "$passed/seen" ] && [ "$(cat "$passed/seen")" = "$(what_tests_see | sha256sum)" ]; then
  cp "$passed"/*.xml "$results"
  echo "nothing has changed since all tests in $build passed; FIAR_TEST_AGAIN=1 runs them again"
  exit 0
fi
rm -rf "$passed"

status=0
ctest --test-dir "$build" --parallel "$(nproc)" --output-on-failure --output-junit "$results/ctest.xml" || status=1
if [ -f "$build/lit-tests/lit.site.cfg.py" ]; then
  lit=$(sed -n 's/^FIAR_LIT:FILEPATH=//p' "$build/CMakeCache.txt")
  "$lit" -s --allow-empty-runs --xunit-xml-output "$results/lit.xml" "$build/lit-tests" || status=1
fi
if [ $status = 0 ] && git rev-parse --git-dir >/dev/null 2>&1; then # after the run: tests build some of it
  mkdir -p "$passed" && cp "$results"/*.xml "$passed" && what_tests_see | sha256sum >"$passed/seen"
fi
exit $status
