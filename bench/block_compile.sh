#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# block_compile.sh [OUT]: compiles the fp8 MLP blocks of examples/models for 2 and 4 ranks with fiarc of ${FIAR_BUILD:-build},
# on a machine with MLIR, into OUT (build-block, which git ignores). Carry OUT to a machine with GPUs and run block_gpu.sh.
#   OUT/tpN/         hidden 8192: mlp.o (fused) and mlp_separate.o (separate calls) with their headers, the program's main.c
#   OUT/tpN-small/   hidden 128, with the inputs and JAX's results
set -eu
cd "$(dirname "$0")/.."
fiarc=${FIAR_BUILD:-build}/bin/fiarc
out=${1:-build-block}
models=examples/models
[ -x "$fiarc" ] || { echo "block_compile.sh: no $fiarc: cmake --preset dev && cmake --build --preset dev --target fiarc"; exit 1; }
rm -rf "$out"
for ranks in 2 4; do
  large=$out/tp$ranks small=$out/tp$ranks-small
  mkdir -p "$large" "$small"
  model=$models/jax_llama_mlp_fp8_tp${ranks}_t16_h8192.mlir
  "$fiarc" "$model" --max-tokens=64 -o "$large/mlp.o"
  "$fiarc" "$model" --max-tokens=64 --emit=main -o "$large/main.c"
  "$fiarc" "$model" --max-tokens=64 --separate --name=mlp_separate -o "$large/mlp_separate.o"
  model=$models/jax_llama_mlp_fp8_tp${ranks}_t4_h128.mlir
  "$fiarc" "$model" --max-tokens=64 -o "$small/mlp.o"
  "$fiarc" "$model" --max-tokens=64 --emit=main -o "$small/main.c"
  cp "$models/mlp_fp8_h128/inputs.safetensors" "$models/mlp_fp8_h128/results_tp$ranks.safetensors" "$small"
done
du -sh "$out"
