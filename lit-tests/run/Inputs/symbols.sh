#!/bin/sh
# symbols.sh HEADER OBJECT...: the undefined symbols of each; `undocumented` before those that the header does not declare.
# What every shared library refers to (weak, and of the C library's start files) is not asked about.
set -eu
header=$1
shift
for object in "$@"; do
  case $object in *.so) nm="nm -D" ;; *) nm=nm ;; esac
  for symbol in $($nm "$object" | sed -n 's/^ *U //p' | sed 's/@.*//'); do
    if grep -q "[^a-z_]$symbol(" "$header"; then
      echo "$(basename "$object"): $symbol"
    else
      echo "$(basename "$object"): undocumented $symbol"
    fi
  done
done
