#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# gpu_world.sh [RANKS [RECORDS]]: all there is to see of one number of ranks (8), in one go, on a machine with so many GPUs, CUDA, gcc,
# CMake and Ninja. Builds; kernel_test; the conformance suite on RANKS in processes and threads ($STEP, 3: every third case);
# fiar-bench with every peer, its bars and the measured crossover; gpu_test in processes; the JAX step and the JAX tests, where
# RECORDS is a folder of `gpu_jax.sh record` (with FIAR_TEST_GPUS=RANKS); the suite on the numbers between half of RANKS and it
# (every 23rd case). A table comes last. Logs and results go to ${OUT:-build-gpu/world}; LIMIT (1500) bounds the seconds, and what does not fit is named.
# FIAR_BUILD names a build to use instead.
set -u
cd "$(dirname "$0")/.." || exit 1
ranks=${1:-8} records=${2:-}
build=${FIAR_BUILD:-build-gpu}
out=${OUT:-$build/world}
mkdir -p "$out"
out=$(cd "$out" && pwd)
table=$out/table
: >"$table"
end=$(($(date +%s) + ${LIMIT:-1500}))
export FIAR_TIMEOUT_MS="${FIAR_TIMEOUT_MS:-20000}"
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
[ "$gpus" -ge "$ranks" ] || { echo "gpu_world.sh: $ranks ranks need a GPU each, there are $gpus"; exit 77; }

# part NAME LINES COMMAND...: runs it within the time that is left; the last LINES of what it prints go to the table.
failed=0
part() {
  name=$1 lines=$2
  shift 2
  began=$(date +%s)
  if [ $((end - began)) -lt 10 ]; then
    echo "left out  $name: no time left" >>"$table"
    return
  fi
  log=$out/$(echo "$name" | tr ' ' '-').log
  timeout -k 5 $((end - began)) "$@" >"$log" 2>&1
  status=$?
  case $status in
    0) word=passed ;;
    77) word=skipped ;;
    *) word="FAILED $status" failed=1 lines=$((lines + 12)) ;;
  esac
  printf '%s, %d s: %s\n' "$word" $(($(date +%s) - began)) "$name" >>"$table"
  tail -n "$lines" "$log" | sed 's/^/  /' >>"$table"
}

compile() {
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFIAR_CUDA=ON -DFIAR_BUILD_COMPILER=OFF \
    "-DCMAKE_CUDA_ARCHITECTURES=${FIAR_ARCHITECTURES:-native}" && cmake --build "$build"
}
[ -n "${FIAR_BUILD:-}" ] || compile >"$out/build.log" 2>&1 || { tail -30 "$out/build.log"; echo "gpu_world.sh: the build failed"; exit 1; }

below=$(seq -s " " $((ranks - 1)) -1 $((ranks / 2 + 1)))
part "kernels on $ranks" 1 "$build/bin/kernel_test" --world "$ranks"
part "conformance on $ranks" 1 env FIAR_BUILD="$build" OUT="$out/rows" FIAR_TEST_RANKS="$ranks" FIAR_CASE_STEP="${STEP:-3}" unit-tests/gpu.sh rows
part "bench on $ranks" 70 env FIAR_BENCH="$build/bin/fiar-bench" OUT="$out" bench/gpu_bench.sh "$ranks"
part "device tests on $ranks" 1 "$build/bin/gpu_test" trtllm processes "$ranks"
[ -z "$records" ] || part "JAX on $ranks" 40 env FIAR_TEST_GPUS="$ranks" OUT="$out/jax" BUDGET=$((end - $(date +%s))) bash bench/gpu_jax.sh "$records" build smoke step transforms
[ -z "$below" ] ||
  part "conformance on $below" 1 env FIAR_BUILD="$build" OUT="$out/fewer" FIAR_TEST_RANKS="$below" FIAR_CASE_STEP=23 unit-tests/gpu.sh rows
cat "$table"
[ ! -f "$out/fiar.tune" ] || { echo "measured crossover:"; cat "$out/fiar.tune"; }
exit $failed
