#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# gpu.sh [full|short|rows|block|sanitizer]...: the GPU tests, on a machine with CUDA 13, gcc, CMake and Ninja (docs/gpu-tests.md).
# Builds the runtime without MLIR, runs the conformance suite and gpu_test on 2, 3, ... GPUs, then compute-sanitizer on
# one or two, prints a line for each run as it ends, and how many passed last. FIAR_BUILD names a build to use instead; logs go
# to ${OUT:-build-gpu/logs}.
set -u
cd "$(dirname "$0")/.."
build=${FIAR_BUILD:-build-gpu}
logs=${OUT:-$build/logs}
[ $# -gt 0 ] || set -- full sanitizer
step=${FIAR_CASE_STEP:-1}  # every Nth case of the conformance suite; FIAR_TEST_RANKS: instead of all from all GPUs to 2
export FIAR_TIMEOUT_MS="${FIAR_TIMEOUT_MS:-20000}"

# NCCL may live in a Python package.
if [ -z "${FIAR_NCCL_LIBRARY:-}" ] && ! ldconfig -p | grep -q libnccl.so.2; then
  found=$(python3 -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null)
  [ -f "${found:-}" ] && export FIAR_NCCL_LIBRARY="$found"
fi

if [ -z "${FIAR_CUBLASLT_LIBRARY:-}" ] && ! ldconfig -p | grep -q 'libcublasLt.so.1[23]'; then
  for found in "${CUDA_HOME:-/usr/local/cuda}"/lib64/libcublasLt.so.1[23] \
    $(python3 -c 'import nvidia as n; print(*(p + "/*/lib/libcublasLt.so.1[23]" for p in n.__path__))' 2>/dev/null); do
    [ -f "$found" ] && export FIAR_CUBLASLT_LIBRARY="$found"
  done
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

# line WORD SECONDS NAME TEXT: a line of the table.
line() {
  printf '%-8s %4ds  %-34s %s\n' "$@" | tee -a "$table"
}

# run NAME COMMAND...: a line: passed, skipped or FAILED, seconds, and the command's last line.
run() {
  name=$1
  shift
  log=$logs/$(echo "$name" | tr ' ' '.').log
  began=$(date +%s)
  timeout 900 "$@" >"$log" 2>&1
  case $? in
    0) word=passed ;;
    77) word=skipped ;;
    *) word=FAILED ;;
  esac
  line "$word" $(($(date +%s) - began)) "$name" "$(tail -1 "$log")"
  [ "$word" != FAILED ] || { echo "--- $name"; grep -v '^passed' "$log" | head -12; }
}

# The conformance suite on $2 ranks that are processes or threads ($1).
conform() {
  for row in trtllm trtllm_graph mnnvl mnnvl_graph nccl nccl_graph auto; do
    run "conformance $row $1 $2" "$build/bin/conformance" $row "$1" "$2" "$step"
  done
  for row in trtllm trtllm_graph; do
    run "conformance $row twoshot $1 $2" env FIAR_ALGORITHM=twoshot "$build/bin/conformance" $row "$1" "$2" "$step"
  done
}

# Everything on so many.
lane() {
  conform "$1" "$2"
  for backend in trtllm mnnvl nccl; do
    run "gpu_test $backend $1 $2" "$build/bin/gpu_test" $backend "$1" "$2"
  done
}

# The ops around the fused call, on one GPU.
block() {
  run "block_gpu_test" "$build/bin/block_gpu_test"
}

full() {
  block
  for ranks in ${FIAR_TEST_RANKS:-$(seq "$gpus" -1 2)}; do
    if [ $((2 * ranks)) -le "$gpus" ]; then # room for both lanes at once
      (CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((ranks - 1))) && export CUDA_VISIBLE_DEVICES && lane processes "$ranks") &
      (CUDA_VISIBLE_DEVICES=$(seq -s, "$ranks" $((2 * ranks - 1))) && export CUDA_VISIBLE_DEVICES && lane threads "$ranks") &
      wait
    else
      lane processes "$ranks"
      lane threads "$ranks"
    fi
  done
}

# The conformance suite alone.
rows() {
  for ranks in ${FIAR_TEST_RANKS:-$(seq "$gpus" -1 2)}; do
    conform processes "$ranks"
    conform threads "$ranks"
  done
}

short() {
  block
  for row in trtllm trtllm_graph nccl; do
    run "conformance $row processes $gpus" "$build/bin/conformance" $row processes "$gpus" 7
  done
  run "gpu_test trtllm processes $gpus" "$build/bin/gpu_test" trtllm processes "$gpus"
}

# The tools run one kernel of a process at a time, so ranks that wait for each other are processes, on a GPU each
# where there are two. racecheck does not, and sees threads.
sanitizer() {
  [ "$gpus" -ge 2 ] || export FIAR_TEST_SHARED_DEVICE=1
  for tool in memcheck synccheck initcheck racecheck; do
    mode=processes
    [ $tool != racecheck ] || mode=threads
    for body in misaligned_arrays_give_the_same_answers gathered_rows_are_the_shards_rows; do
      if [ $tool = racecheck ] && [ "$gpus" -lt 2 ]; then
        line skipped 0 "$tool $body" "needs two GPUs: on one the tool may run a kernel after the other"
        continue
      fi
      run "$tool $body" env FIAR_TIMEOUT_MS=120000 compute-sanitizer --tool $tool --target-processes all \
        --error-exitcode 9 "$build/bin/gpu_test" trtllm $mode 2 $body
    done
    run "$tool kernel_test" compute-sanitizer --tool $tool --error-exitcode 9 "$build/bin/kernel_test" --world 2 --cases 6 \
      --only calls_match_the_reference
  done
  unset FIAR_TEST_SHARED_DEVICE
  for op in activate copy quantize rms_norm 'matmul 9x'; do
    run "memcheck $op" compute-sanitizer --error-exitcode 9 "$build/bin/block_gpu_test" "$op"
    run "racecheck $op" compute-sanitizer --tool racecheck --error-exitcode 9 "$build/bin/block_gpu_test" "$op"
  done
}

for part in "$@"; do
  "$part"
done
printf '%d passed, %d failed, %d skipped\n' "$(grep -c '^passed' "$table")" "$(grep -c '^FAILED' "$table")" \
  "$(grep -c '^skipped' "$table")"
! grep -q '^FAILED' "$table"
