#!/bin/sh
# run.sh SOURCE_DIR BUILD_DIR: the tests of the Python package in BUILD_DIR/venv, which is made where it
# is missing. Exit status 77 and the reason where they cannot run.
set -u
source=$1
build=$2
venv=$build/venv
skip() { echo "skipped: $1"; exit 77; }

if ! "$venv/bin/python" -c 'import jax, pytest' 2>/dev/null; then
  python3 -m venv "$venv" >/dev/null 2>&1 || skip "python3 cannot make a virtual environment"
  "$venv/bin/pip" install --quiet jax pytest >"$build/pip.log" 2>&1 ||
    skip "pip could not install jax ($(tail -1 "$build/pip.log"))"
fi
if [ ! -f "$build/lib/libfiar_xla.so" ]; then  # configured before there was a jaxlib
  cmake "$build" >/dev/null && cmake --build "$build" --target fiar_xla >/dev/null || exit 1
fi
FIAR_HOME=$build PYTHONPATH=$source/python exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$source/python/tests"
