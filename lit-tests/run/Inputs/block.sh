#!/bin/sh
# block.sh MODELS QUANT SIZE RANKS OUT [FIARC_OPTIONS...]: compiles MODELS/jax_llama_mlp_QUANT_tpRANKS_t4_SIZE.mlir to a program,
# runs it on the host as RANKS processes and compares with JAX's results. Other inputs must not compare equal.
set -eu
models=$1 quant=$2 size=$3 ranks=$4 out=$5
shift 5
data=$models/mlp_${quant}_$size
program=$out/$quant$ranks
fiarc "$models/jax_llama_mlp_${quant}_tp${ranks}_t4_$size.mlir" -o "$program" "$@"
tokens=
case "$*" in *max-tokens*) tokens="--tokens 4" ;; esac
run() {
  fiar-run --no-prefix -n "$ranks" "$program" --host $tokens --expect "$data/results_tp$ranks.safetensors" --max-ulps 0 "$@"
}
run --inputs "$data/inputs.safetensors" --steps 3 >"$out/log"
grep backend "$out/log"
grep -v backend "$out/log"
if run --seed 7 >"$out/other" 2>&1; then
  echo "other inputs gave JAX's results"
  exit 1
fi
grep -q 'values differ' "$out/other"
