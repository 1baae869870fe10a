#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# block_gpu.sh [--soak] [RANKS]...: runs what block_compile.sh compiled, on a machine with CUDA, gcc, CMake, Ninja and as many
# GPUs (default: 2, and 4 where there are). Builds the runtime, runs the fp8 MLP block under fiar-run and mpirun, holds it
# against JAX's recorded results and the host backend, and times decode steps; --soak runs it for two minutes. A table comes
# last; its exit status is 1 where a row failed. BLOCKS names the compiled blocks (build-block), FIAR_BUILD a built runtime,
# OUT a folder for logs.
set -u
cd "$(dirname "$0")/.."
blocks=${BLOCKS:-build-block}
build=${FIAR_BUILD:-build-gpu}
out=${OUT:-$build/block}
cuda=${CUDA_HOME:-/usr/local/cuda}
hidden=8192 inner=28672
soak=no
[ "${1:-}" != --soak ] || { soak=yes; shift; }
export FIAR_TIMEOUT_MS="${FIAR_TIMEOUT_MS:-20000}"
mkdir -p "$out"
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
if [ $# -eq 0 ]; then
  set -- 2
  [ "$gpus" -lt 4 ] || set -- 2 4
fi

# NCCL and cuBLASLt may live in Python packages.
if [ -z "${FIAR_NCCL_LIBRARY:-}" ] && ! ldconfig -p | grep -q libnccl.so.2; then
  found=$(python3 -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null)
  [ ! -f "${found:-}" ] || export FIAR_NCCL_LIBRARY="$found"
fi
if [ -z "${FIAR_CUBLASLT_LIBRARY:-}" ] && ! ldconfig -p | grep -q 'libcublasLt.so.1[23]'; then
  for found in "$cuda"/lib64/libcublasLt.so.1[23] \
    $(python3 -c 'import nvidia as n; print(*(p + "/*/lib/libcublasLt.so.1[23]" for p in n.__path__))' 2>/dev/null); do
    [ ! -f "$found" ] || export FIAR_CUBLASLT_LIBRARY="$found"
  done
fi

if [ -z "${FIAR_BUILD:-}" ]; then
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFIAR_CUDA=ON -DFIAR_BUILD_COMPILER=OFF -DFIAR_BUILD_TESTS=OFF \
    -DFIAR_BUILD_BENCH=OFF "-DCMAKE_CUDA_ARCHITECTURES=${FIAR_ARCHITECTURES:-90-real}" >"$out/build.log" 2>&1 &&
    cmake --build "$build" --target fiar fiar-run >>"$out/build.log" 2>&1 ||
    { tail -40 "$out/build.log"; echo "block_gpu.sh: the build failed"; exit 1; }
fi
lib=$PWD/$build/lib
link() {  # OUTPUT FILE...
  output=$1
  shift
  gcc -O2 -std=gnu17 -Iinclude -I"$build/include" -o "$output" "$@" -L"$lib" -Wl,-rpath,"$lib" -lfiar -lm || exit 1
}

table=$out/table
: >"$table"
failed=0
row() {  # NAME COMMAND...: a line of the table
  name=$1
  shift
  log=$out/$(echo "$name" | tr ' /' '..').log
  began=$(date +%s)
  timeout 300 "$@" >"$log" 2>&1
  status=$?
  word=passed
  [ $status -eq 0 ] || { word=FAILED; failed=1; }
  line=$(grep -E 'differ|soak:|step.*backend|error|fiar' "$log" | tail -1 | cut -c1-150)
  printf '%-7s %4ds  %-34s %s\n' $word $(($(date +%s) - began)) "$name" "$line" >>"$table"
  [ $word = passed ] || { echo "--- $name (status $status)"; tail -15 "$log"; }
}
mpi="mpirun --allow-run-as-root --oversubscribe --bind-to none"
command -v mpirun >/dev/null || mpi=

for ranks in "$@"; do
  small=$blocks/tp$ranks-small large=$blocks/tp$ranks
  [ -f "$large/mlp.o" ] || { echo "block_gpu.sh: no $large/mlp.o: run block_compile.sh where MLIR is"; exit 1; }
  run="$build/bin/fiar-run -n $ranks"
  link "$out/small$ranks" "$small/main.c" "$small/mlp.o"
  link "$out/large$ranks" "$large/main.c" "$large/mlp.o"
  link "$out/bench$ranks" bench/block_bench.c "$large/mlp.o" "$large/mlp_separate.o" -I"$large" -I"$cuda/include" \
    -L"$cuda/lib64" -Wl,-rpath,"$cuda/lib64" -lcudart
  jax="--tokens 4 --inputs $small/inputs.safetensors --expect $small/results_tp$ranks.safetensors --max-ulps 4"
  row "JAX, host, $ranks ranks" $run "$out/small$ranks" --host $jax
  row "JAX, fiar-run, $ranks ranks" $run "$out/small$ranks" $jax
  [ -z "$mpi" ] || row "JAX, mpirun, $ranks ranks" $mpi -n "$ranks" "$out/small$ranks" $jax
  row "JAX, NCCL, $ranks ranks" env FIAR_ALLREDUCE_BACKEND=nccl $run "$out/small$ranks" $jax
  row "JAX, no GPU to be seen, $ranks ranks" env CUDA_VISIBLE_DEVICES= $run "$out/small$ranks" $jax
  row "8192, host, $ranks ranks" $run "$out/large$ranks" --host --tokens 4 --save "$out/host$ranks.{rank}"
  row "8192, against the host, $ranks ranks" $run "$out/large$ranks" --tokens 4 --steps 3 --expect "$out/host$ranks.{rank}" \
    --max-ulps 4
  if [ $soak = yes ]; then
    row "soak, $ranks ranks" $run "$out/bench$ranks" $hidden $inner 120
  else
    row "times, $ranks ranks" $run --no-prefix "$out/bench$ranks" $hidden $inner
  fi
done
for ranks in "$@"; do
  cat "$out/times,.$ranks.ranks.log" 2>/dev/null
done
echo
nvidia-smi -L | head -1
cat "$table"
exit $failed
