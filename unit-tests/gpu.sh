#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# gpu.sh [full|short|sanitizer]...: the GPU tests, on a machine with CUDA 13, gcc, CMake and Ninja (docs/gpu-tests.md).
# Builds the runtime without MLIR, runs the conformance suite and gpu_test on 2, 3, ... GPUs, then compute-sanitizer on
# one GPU, and prints a table last. FIAR_BUILD names a build to use instead; logs go to ${OUT:-build-gpu/logs}.
set -u
cd "$(dirname "$0")/.."
build=${FIAR_BUILD:-build-gpu}
logs=${OUT:-$build/logs}
[ $# -gt 0 ] || set -- full sanitizer
export FIAR_TIMEOUT_MS="${FIAR_TIMEOUT_MS:-20000}"

# NCCL may live in a Python package.
if [ -z "${FIAR_NCCL_LIBRARY:-}" ] && ! ldconfig -p | grep -q libnccl.so.2; then
  found=$(python3 -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null)
  [ -f "${found:-}" ] && export FIAR_NCCL_LIBRARY="$found"
fi

if [ -z "${FIAR_BUILD:-}" ]; then
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFIAR_CUDA=ON -DFIAR_BUILD_COMPILER=OFF \
    "-DCMAKE_CUDA_ARCHITECTURES=${FIAR_ARCHITECTURES:-native}" >"$build.log" 2>&1 &&
    cmake --build "$build" >>"$build.log" 2>&1 || { tail -40 "$build.log"; echo "gpu.sh: the build failed"; exit 1; }
fi
mkdir -p "$logs"
table=$logs/table
: >"$table"
gpus=$(nvidia-smi -L | wc -l)
status=0

# run NAME COMMAND...: one line of the table: passed, skipped or FAILED, seconds, and the command's last line.
run() {
  name=$1
  shift
  log=$logs/$(echo "$name" | tr ' ' '.').log
  began=$(date +%s)
  timeout 900 "$@" >"$log" 2>&1
  case $? in
    0) word=passed ;;
    77) word=skipped ;;
    *) word=FAILED status=1 ;;
  esac
  printf '%-8s %4ds  %-34s %s\n' "$word" $(($(date +%s) - began)) "$name" "$(tail -1 "$log")" >>"$table"
  [ "$word" != FAILED ] || { echo "--- $name"; grep -v '^passed' "$log" | head -12; }
}

# The suite on one backend, over ranks and modes.
suite() { # ROWS RANKS
  for row in $1; do
    for mode in processes threads; do
      run "conformance $row $mode $2" "$build/bin/conformance" "$row" $mode "$2"
    done
  done
}

devices() { # BACKENDS RANKS
  for backend in $1; do
    for mode in processes threads; do
      run "gpu_test $backend $mode $2" "$build/bin/gpu_test" "$backend" $mode "$2"
    done
  done
}

full() {
  ranks=2
  while [ "$ranks" -le "$gpus" ]; do
    suite "trtllm trtllm_graph mnnvl mnnvl_graph nccl nccl_graph auto" $ranks
    FIAR_ALGORITHM=twoshot
    export FIAR_ALGORITHM
    run "conformance trtllm twoshot $ranks" "$build/bin/conformance" trtllm processes $ranks
    run "conformance trtllm_graph twoshot $ranks" "$build/bin/conformance" trtllm_graph threads $ranks
    unset FIAR_ALGORITHM
    devices "trtllm mnnvl nccl" $ranks
    ranks=$((ranks + 1))
  done
}

short() {
  suite "trtllm trtllm_graph nccl mnnvl" "$gpus"
  devices "trtllm" "$gpus"
}

# Two ranks as threads of one process on one GPU, fewer calls: the tools slow kernels down a hundredfold.
sanitizer() {
  for tool in memcheck racecheck synccheck initcheck; do
    for body in misaligned_arrays_give_the_same_answers graphs_replay_in_any_order; do
      run "$tool $body" env FIAR_TEST_SHARED_DEVICE=1 FIAR_TEST_CALLS=500 FIAR_TIMEOUT_MS=120000 \
        compute-sanitizer --tool $tool --error-exitcode 9 "$build/bin/gpu_test" trtllm threads 2 $body
    done
  done
}

for part in "$@"; do
  "$part"
done
cat "$table"
printf '%d passed, %d failed, %d skipped\n' "$(grep -c '^passed' "$table")" "$(grep -c '^FAILED' "$table")" "$(grep -c '^skipped' "$table")"
exit $status
