#!/bin/sh
# flow.sh WORLD STEM [PASSES]: flow.py compiled fused (PASSES first) and unfused, run on WORLD ranks. Tools come by BUILD,
# MLIR_TRANSLATE, CLANG and CC; LLVM_LIB is where libmlir_apfloat_wrappers lies.
set -eu
world=$1 stem=$2 before=${3:-}
here=$(dirname "$0")
compile() { # fused|unfused, passes
  python3 "$here/flow.py" "$world" "_$1" >"$stem.$1.mlir"
  "$BUILD/bin/fiar-opt" "$stem.$1.mlir" $2 --fiar-to-llvm -o "$stem.$1.llvm.mlir"
  $MLIR_TRANSLATE --mlir-to-llvmir "$stem.$1.llvm.mlir" -o "$stem.$1.ll"
  $CLANG -O1 -fPIC -Wno-override-module -c "$stem.$1.ll" -o "$stem.$1.o"
}
compile fused "$before --fiar-fuse"
compile unfused ""
echo "calls $(nm "$stem.fused.o" "$stem.unfused.o" | grep -c 'U fiar_rt_all_reduce_norm')"
$CC -O1 -I"$here/../../../include" -I"$BUILD/include" "$here/flow.c" "$stem.fused.o" "$stem.unfused.o" \
  -o "$stem.exe" -L"$BUILD/lib" -lfiar -L"$LLVM_LIB" -lmlir_apfloat_wrappers -Wl,-rpath,"$BUILD/lib:$LLVM_LIB"
"$BUILD/bin/fiar-run" -n "$world" "$stem.exe"
