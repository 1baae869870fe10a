#!/bin/sh
# demo.sh BUILD_DIR: fuses a JAX model, then compiles and runs a block on 4 ranks, fused and unfused.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
out=$build/demo
mkdir -p "$out"
say() { printf '\n== %s\n' "$*"; }

model=jax_llama_fp8_tp4_t16_h1024_l1
say "fiar-opt on $model.mlir: a Llama block in fp8, tensor-parallel over 4 ranks, as JAX exported it"
"$build/bin/fiar-opt" "$here/models/$model.mlir" \
  --pass-pipeline='builtin.module(fiar-fuse{report=text})' -o "$out/$model.fused.mlir" 2>&1
echo "fused IR: $out/$model.fused.mlir"

say "compiling examples/tp_block (upstream MLIR) to native code, fused and unfused, against an installed fiar"
cmake --install "$build" --prefix "$out/prefix" >"$out/install.log"
[ -f "$out/tp_block/build.ninja" ] ||
  cmake -S "$here/tp_block" -B "$out/tp_block" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$out/prefix" >"$out/configure.log"
cmake --build "$out/tp_block" >"$out/compile.log" || { cat "$out/compile.log"; exit 1; }

# What a model calls of fiar: all models check version and ranks first.
calls() { nm -u "$out/tp_block/tp_block_$1.o" | awk '/fiar_/ && !/fiar_rt_check_/ { print $2 }' | sort | tr '\n' ' '; }
echo "the fused model calls   $(calls fused)"
echo "the unfused model calls $(calls unfused)"
[ "$(calls unfused)" = "fiar_rt_all_reduce " ] || { echo "the unfused model should call fiar_rt_all_reduce alone"; exit 1; }
case $(calls fused) in *fiar_rt_all_reduce_norm*) ;; *) echo "nothing was fused"; exit 1 ;; esac

say "running both on 4 ranks"
"$out/prefix/bin/fiar-run" -n 4 "$out/tp_block/tp_block"
