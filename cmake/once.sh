#!/bin/sh
# once.sh STAMP INPUT... -- COMMAND...: runs COMMAND unless it has already passed on the same INPUTs (files, and
# folders by the files that git tracks in them). For long tests that are pure functions of their inputs.
set -eu
stamp=$1
shift
inputs=
while [ "$1" != -- ]; do
  inputs="$inputs $1"
  shift
done
shift
key=$({
  echo "$*"
  for input in $inputs; do
    if [ -d "$input" ]; then
      git ls-files -z "$input" | xargs -0 cat
    else
      cat "$input"
    fi
  done
} | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
  echo "unchanged since it last passed"
  exit 0
fi
"$@"
echo "$key" >"$stamp"
