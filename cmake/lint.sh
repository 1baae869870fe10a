#!/bin/sh
# lint.sh format|tidy|tree BUILD_DIR: the checks that need no program to run. Exit status 1 and a line
# a finding; 77 and the reason where a tool is missing.
set -u
cd "$(dirname "$0")/.."
what=$1
build=$2

need() { command -v "$1" >/dev/null 2>&1 || { echo "skipped: $1 is not installed"; exit 77; }; }
sources() { git ls-files "$@"; }

format() {
  need clang-format-14
  sources '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' | xargs clang-format-14 --dry-run --Werror
}

# Only the C files that this build compiles: the compilation database knows their flags. A file that several targets
# compile is looked at once, with the flags of the first; clang-tidy would take every one.
tidy() {
  need clang-tidy-14
  [ -f "$build/compile_commands.json" ] || { echo "skipped: $build/compile_commands.json is missing"; exit 77; }
  mkdir -p "$build/lint"
  python3 - "$build" <<'EOF' | xargs -P 2 -n 4 clang-tidy-14 -p "$build/lint" --quiet 2>/dev/null
import json, os, sys
here, build = os.getcwd(), sys.argv[1]
entries = {}
for entry in json.load(open(build + "/compile_commands.json")):
    name = os.path.relpath(os.path.join(entry["directory"], entry["file"]), here)
    if name.endswith(".c") and not name.startswith(("..", "build")):
        entries.setdefault(name, entry)
json.dump(list(entries.values()), open(build + "/lint/compile_commands.json", "w"))
print("\n".join(sorted(entries)))
EOF
}

tree() {
  bad=0
  complain() { bad=1; echo "$1"; sed 's/^/    /'; }
  found=$(sources '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' | xargs grep -L 'SPDX-License-Identifier' || :)
  [ -z "$found" ] || echo "$found" | complain "no SPDX line:"
  found=$(sources '*.cpp' '*.cc' '*.cxx' | grep -v '^passes/cxx/' || :)
  [ -z "$found" ] || echo "$found" | complain "C++ outside passes/cxx:"
  found=$(sources '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' | xargs wc -l | awk '$2 != "total" && $1 > 700')
  [ -z "$found" ] || echo "$found" | complain "over 700 lines:"
  found=$(sources | xargs grep -nIE '\b(TO''DO|FIX''ME|XX''X)\b' || :)
  [ -z "$found" ] || echo "$found" | complain "unfinished work:"
  return $bad
}

"$what"
