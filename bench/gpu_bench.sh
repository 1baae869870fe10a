#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# gpu_bench.sh [RANKS]...: builds the runtime and fiar-bench on a machine with CUDA, gcc, CMake and
# Ninja, runs the points of the project's speed bars on RANKS GPUs (default: all, and 2), and prints
# the bars. FIAR_BENCH names a built fiar-bench to use instead. JSON and the
# measured crossover (fiar.tune) go to ${OUT:-.}.
set -eu
cd "$(dirname "$0")/.."
out=${OUT:-.}
export FIAR_TIMEOUT_MS=${FIAR_TIMEOUT_MS:-10000}

# NCCL may live in a Python package, and cuBLASLt where the linker does not look.
if [ -z "${FIAR_NCCL_LIBRARY:-}" ] && ! ldconfig -p | grep -q libnccl.so.2; then
  found=$(python3 -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null || :)
  [ ! -f "$found" ] || export FIAR_NCCL_LIBRARY="$found"
fi
libraries=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${CUDA_HOME:-/usr/local/cuda}/lib64

if [ -z "${FIAR_BENCH:-}" ]; then
  cmake -S . -B build-gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DFIAR_CUDA=ON -DFIAR_BUILD_COMPILER=OFF \
    -DFIAR_BUILD_TESTS=OFF "-DCMAKE_CUDA_ARCHITECTURES=${FIAR_ARCHITECTURES:-90-real}" >/dev/null
  cmake --build build-gpu --target fiar-bench
  FIAR_BENCH=build-gpu/bin/fiar-bench
fi

if [ $# -eq 0 ]; then
  all=$(nvidia-smi -L | wc -l)
  set -- "$all"
  [ "$all" -le 2 ] || set -- "$all" 2
fi

files=
measure() {  # NAME OPTION...: a sweep that fails is reported, and the others still run
  name=$1
  shift
  file=$out/bench-$ranks-$name.json
  LD_LIBRARY_PATH=$libraries "$FIAR_BENCH" --ranks "$ranks" --format json --output "$file" "$@" || echo "gpu_bench.sh: $name on $ranks ranks failed"
  [ ! -f "$file" ] || files="$files $file"
}

for ranks in "$@"; do
  measure bars --hidden 4096,7168,8192 --residual full,token_shard --tune "$out/fiar.tune"
  measure formats --hidden 4096 --tokens 1,16,128,1024,8192 --impl fiar \
    --quant none,fp8_token,fp8_group,nvfp4,mxfp8,mxfp4
  measure eager --mode processes --hidden 4096 --tokens 1,64 --launch eager --impl fiar,nccl
  measure chain --hidden 4096,8192 --tokens 1,16,64,256 --launch chain --impl fiar,nccl,nccl_separate
  export FIAR_PDL=off
  measure chain-no-pdl --hidden 4096,8192 --tokens 1,16,64,256 --launch chain --impl fiar
  unset FIAR_PDL
  [ ! -f "$out/bench-$ranks-bars.json" ] || python3 bench/peer_flashinfer.py "$out/bench-$ranks-bars.json" || echo "FlashInfer: not timed"
done
[ -n "$files" ] || exit 1
echo
python3 bench/bars.py $files
