#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# headers_test.sh CC CXX HEADERS_DIR FLAGS...: each public header compiles alone, as C11 and as C++17.
set -u
cc=$1 cxx=$2 dir=$3
shift 3
status=0
count=0
mpi=
for mpi_dir in $(mpicc --showme:incdirs 2>/dev/null); do mpi="$mpi -isystem $mpi_dir"; done
for header in "$dir"/fiar/*.h; do
  name=fiar/$(basename "$header")
  case "$name:$mpi:$*" in
    fiar/compiler.h:*:*-isystem*) ;;
    fiar/compiler.h:*) echo "left out: $name, in a build without MLIR"; continue ;;
    fiar/mpi.h::*) echo "left out: $name, without MPI's compiler"; continue ;;
  esac
  printf '#include "%s"\n#include "%s"\n' "$name" "$name" | # twice: the guard works
    $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c "$@" $mpi -I"$dir" - || { echo "$name is not C11"; status=1; }
  printf '#include "%s"\n' "$name" |
    $cxx -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$@" $mpi -I"$dir" - || { echo "$name is not C++17"; status=1; }
  count=$((count + 1))
done
echo "$count headers"
[ "$count" -gt 0 ] || status=1
exit $status
