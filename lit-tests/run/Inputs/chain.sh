#!/bin/sh
# chain.sh WORLD TOKENS STEM [chain.py | "layers.py [loop]"]: what the generator prints, compiled with residuals whole and
# sharded, and run on WORLD ranks; the tools as for flow.sh. layers.py prints what is to be fused, and proves its residuals.
set -eu
world=$1 tokens=$2 stem=$3.$1.$2 generator=${4:-chain.py}
here=$(dirname "$0")
compile() { # whole|sharded, passes
  python3 "$here/"${generator% *} "$world" "$tokens" "_$1" ${generator#*.py} >"$stem.$1.mlir"
  "$BUILD/bin/fiar-opt" "$stem.$1.mlir" $2 --fiar-to-llvm -o "$stem.$1.llvm.mlir"
  $MLIR_TRANSLATE --mlir-to-llvmir "$stem.$1.llvm.mlir" -o "$stem.$1.ll"
  $CLANG -O1 -fPIC -Wno-override-module -c "$stem.$1.ll" -o "$stem.$1.o"
}
case $generator in
  chain.py) compile whole "" && compile sharded "--fiar-shard-residual=assume-replicated=true" ;;
  *) compile whole "--fiar-fuse" && compile sharded "--fiar-fuse --fiar-shard-residual=report=text" ;;
esac
echo "take $(nm "$stem.sharded.o" | grep -c 'U fiar_rt_take_rows') gather $(nm "$stem.sharded.o" | grep -c 'U fiar_rt_all_gather_rows')"
$CC -O1 -DTOKENS="$tokens" -I"$here/../../../include" -I"$BUILD/include" "$here/chain.c" "$stem.whole.o" "$stem.sharded.o" \
  -o "$stem.exe" -L"$BUILD/lib" -lfiar -L"$LLVM_LIB" -lmlir_apfloat_wrappers -Wl,-rpath,"$BUILD/lib:$LLVM_LIB"
"$BUILD/bin/fiar-run" -n "$world" "$stem.exe"
