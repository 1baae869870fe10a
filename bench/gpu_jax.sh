#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# gpu_jax.sh record FOLDER: on a machine with fiar-opt (FIAR_HOME) and a Python with the GPU machine's jax ($PYTHON),
#   puts the rewrites that the tests and benches below need, and pytest, into FOLDER.
# gpu_jax.sh FOLDER [SECTION...]: on a machine with $FIAR_TEST_GPUS (4) GPUs, jax, CUDA, gcc, CMake and Ninja, no fiar-opt needed: builds
#   libfiar_xla.so (or takes FOLDER's), runs the sections (default: build smoke step decode tests; also more, profile,
#   transforms) within $BUDGET seconds, and prints a table last. Logs go to ${OUT:-build-runtime/jax}.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/python PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1
gpus=${FIAR_TEST_GPUS:-4}

if [ "${1:-}" = record ]; then
  mkdir -p "$2"
  FIAR_REWRITE_CACHE=$(realpath "$2")
  export FIAR_REWRITE_CACHE FIAR_HOME="${FIAR_HOME:-$PWD/build}" JAX_PLATFORMS=cpu
  FIAR_TEST_DEVICES=$gpus $python -m pytest -q -p no:cacheprovider python/tests || exit 1
  for devices in 2 $gpus; do
    for what in '' 'step --hidden 4096 --unroll 32' 'decode --cublas' 'decode --turns 16' 'decode --turns 16 --cublas'; do
      XLA_FLAGS=--xla_force_host_platform_device_count=$devices $python bench/jax_step.py $what --record || exit 1
    done
  done
  $python -m pip install --quiet --upgrade --no-compile --target "$2/site" pytest || exit 1
  exit
fi

[ -d "${1:-}" ] || { echo "gpu_jax.sh: '${1:-}' is no folder of recorded rewrites"; exit 1; }
FIAR_REWRITE_CACHE=$(realpath "$1")
[ ! -d "$1/site" ] || PYTHONPATH=$PYTHONPATH:$FIAR_REWRITE_CACHE/site
export FIAR_REWRITE_CACHE FIAR_HOME=$PWD/build-runtime JAX_PLATFORMS=cuda,cpu FIAR_TIMEOUT_MS=${FIAR_TIMEOUT_MS:-10000}
shift
[ $# -gt 0 ] || set -- build smoke step decode tests
logs=${OUT:-build-runtime/jax}
mkdir -p "$logs"
all=$logs/all.log
table=$logs/table
: >"$table"
: >"$all"
end=$(($(date +%s) + ${BUDGET:-285}))

# part LIMIT NAME COMMAND...: runs it for at most LIMIT seconds; a line of the table, and the end of its output if it failed.
part() {
  local limit=$1 name=$2 began left rc log=$logs/part.log
  shift 2
  began=$(date +%s)
  left=$((end - began))
  [ "$left" -ge 15 ] || { echo "left out  $name: no time left" >>"$table"; return 1; }
  timeout -s ABRT -k 5 $((limit < left ? limit : left)) "$@" >"$log" 2>&1
  rc=$?
  { echo "=== $name ($*): $rc"; cat "$log"; } >>"$all"
  printf '%-8s %4ds  %s\n' "$([ $rc = 0 ] && echo ok || echo "rc $rc")" $(($(date +%s) - began)) "$name" >>"$table"
  grep -E '^(case|step|rows|decode|# |[0-9]+ (passed|failed)|[a-z0-9_ ]+: (ok|WRONG))|^(FAILED|ERROR) ' "$log" | cut -c1-260 >>"$table"
  [ $rc = 0 ] || tail -n 25 "$log" | cut -c1-400 | sed 's/^/    | /' >>"$table"
  return $rc
}

build() {
  local ready=$FIAR_REWRITE_CACHE/libfiar_xla.so
  if [ -f "$ready" ] && $python -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1]).fiar_xla_all_reduce_norm' "$ready"; then
    mkdir -p build-runtime/lib && cp "$ready" build-runtime/lib
    return
  fi
  cmake -S . -B build-runtime -G Ninja -DCMAKE_BUILD_TYPE=Release -DFIAR_CUDA=ON -DFIAR_BUILD_COMPILER=OFF -DFIAR_BUILD_TESTS=OFF \
    "-DCMAKE_CUDA_ARCHITECTURES=${FIAR_ARCHITECTURES:-90-real}" \
    "-DFIAR_XLA_INCLUDE=$($python -c 'import jax.ffi; print(jax.ffi.include_dir())' 2>/dev/null)" && cmake --build build-runtime --target fiar_xla
}
export -f build
export python

try="$python python/tests/gpu_check.py"
test="$python -m pytest -q --maxfail 5 --tb=line -p no:cacheprovider python/tests"
no_graphs=--xla_gpu_enable_command_buffer=
no_triton=--xla_gpu_enable_triton_gemm=false
quick="--xla_gpu_autotune_level=0 --xla_gpu_graph_min_graph_size=1"  # where no time is measured
flags=  # kept from where the smoke test found that they are needed
check() {  # LIMIT NAME FLAGS COMMAND...
  local limit=$1 name=$2 more=$3
  shift 3
  XLA_FLAGS=$(echo $quick $flags $more) FIAR_TEST_DEVICES=$gpus part "$limit" "$name" "$@"
}
bench() {  # LIMIT NAME FLAGS ARGUMENTS...
  local limit=$1 name=$2 more=$3
  shift 3
  XLA_FLAGS=$(echo $flags $more) part "$limit" "$name" $python bench/jax_step.py "$@" --devices $gpus
}
for section in "$@"; do
  case $section in
    build) part 150 build bash -c build || break ;;
    smoke)
      # What fails with command buffers may go otherwise; what fails in every way is tried on two devices, with a log.
      check 80 "gpu_check $gpus" '' $try $gpus ||
        { export FIAR_PDL=off && check 60 "gpu_check $gpus, FIAR_PDL=off from here on" '' $try $gpus; } ||
        { flags=$no_graphs && check 60 "gpu_check $gpus, no command buffers from here on" '' $try $gpus; } ||
        { FIAR_DEBUG=trace check 45 'gpu_check 2' '' $try 2; break; }
      ;;
    step)
      bench 80 step '' step --hidden 4096 8192 --tokens 1 16 128 2048 8192
      bench 60 rows '' rows --hidden 4096 8192 --tokens 16 128 2048 8192
      ;;
    decode)
      bench 60 'decode, cuBLASLt' $no_triton decode --batch 1 8 64 --turns 16 --cublas --repeats 7
      bench 60 decode '' decode --batch 1 8 64 --turns 16 --repeats 7
      ;;
    more)
      bench 110 'decode, a program a token' '' decode --batch 1 8 64 --parts --verbose
      bench 40 'decode, a program a token, cuBLASLt' $no_triton decode --batch 1 8 64 --cublas --verbose
      bench 40 'step, 32 a turn' '' step --hidden 4096 --tokens 1 16 128 --unroll 32
      FIAR_PDL=off bench 40 'step, FIAR_PDL=off' '' step --hidden 4096 --tokens 1 16 128
      bench 40 once '' once --hidden 4096 --tokens 1 16 128
      bench 40 'step, no command buffers' $no_graphs step once --hidden 4096 --tokens 1 128
      ;;
    profile)  # by kernels, which the profiler may not see inside command buffers
      bench 40 'profile of decode' $no_graphs decode --batch 1 8 --profile
      bench 40 'profile of step' $no_graphs step --hidden 4096 --tokens 1 16 128 --profile
      ;;
    transforms) check 90 test_transforms '' $test/test_transforms.py ;;
    tests)
      for file in blocks handlers transforms; do
        check 90 "test_$file" '' $test/test_$file.py
      done
      check 60 'gpu_check 2' '' $try 2
      check 60 "gpu_check $gpus, no command buffers" $no_graphs $try $gpus
      check 90 'test_transforms, no command buffers' $no_graphs $test/test_transforms.py
      ;;
    *) echo "left out  $section: no such section" >>"$table" ;;
  esac
done

echo
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | sort | uniq -c
$python -c 'import jax, jaxlib; print("jax", jax.__version__, "jaxlib", jaxlib.__version__)'
cat "$table"
