#!/bin/sh
# installed_test.sh BUILD_DIR OUT_DIR: installs the build to a fresh prefix and builds and runs the examples
# against it, by find_package(Fiar) and by pkg-config. Exit status 77 where a tool is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 out=$2
command -v pkg-config >/dev/null || { echo "skipped: pkg-config is not installed"; exit 77; }
rm -rf "$out"
mkdir -p "$out"
cmake --install "$build" --prefix "$out/prefix" >"$out/install.log"
prefix=$out/prefix

for example in tp_block mlp_block embed two_ranks; do
  cmake -S "$here/$example" -B "$out/$example" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix"
  cmake --build "$out/$example"
done
"$prefix/bin/fiar-run" -n 4 "$out/tp_block/tp_block"
"$prefix/bin/fiar-run" -n 2 "$out/mlp_block/mlp_block" "$here/models/mlp_fp8_h128" |
  grep -c 'on host: of 512 values, 0 of the norm and 0 of the residual' | grep -qx 2
# The same block as a program of its own, by the installed fiarc.
"$prefix/bin/fiarc" "$here/models/jax_llama_mlp_bf16_tp2_t4_h64.mlir" -o "$out/mlp_program"
"$prefix/bin/fiar-run" -n 2 "$out/mlp_program" --inputs "$here/models/mlp_bf16_h64/inputs.safetensors" \
  --expect "$here/models/mlp_bf16_h64/results_tp2.safetensors" --max-ulps 0
"$out/two_ranks/two_ranks" | sort | grep -c 'on host: residual 2 4,' | grep -qx 2

# The same embedding without CMake.
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
cc -std=c17 "$here/embed/main.c" -o "$out/embed_pc" $(pkg-config --cflags --libs fiar-passes) -Wl,-rpath,"$prefix/lib"
for embed in "$out/embed/embed" "$out/embed_pc"; do
  "$embed" "$here/embed/block.mlir" | grep -c 'fiar.all_reduce_norm' | grep -qx 1
  "$embed" --llvm "$here/tp_block/tp_block.mlir" | grep -q 'llvm.call @fiar_rt_all_reduce_norm'
done
echo "both embeddings fuse and lower"

# A program of C11 and nothing but the runtime: by pkg-config, and linked statically by CMake.
mkdir "$out/model"
printf '#include "fiar/fiar.h"\nint main(void) { return fiar_rt_check_abi(FIAR_ABI_VERSION) != FIAR_OK; }\n' >"$out/model/model.c"
cc -std=c11 "$out/model/model.c" -o "$out/model_pc" $(pkg-config --cflags --libs fiar) -Wl,-rpath,"$prefix/lib"
"$out/model_pc"
cat >"$out/model/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(model LANGUAGES C)
find_package(Fiar 0.1 REQUIRED)
add_executable(model model.c)
target_link_libraries(model PRIVATE fiar::runtime_static)
END
cmake -S "$out/model" -B "$out/model/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$out/model/build"
"$out/model/build/model"
ldd "$out/model/build/model" | grep libfiar && { echo "libfiar.so is linked, libfiar.a should be"; exit 1; }
exit 0
