#!/bin/sh
# Checks the Python package: its declarations against xverse.h, its types, its tests.
# usage: scripts/check-python.sh LIBRARY [PYTEST ARGUMENT ...]      LIBRARY is a libxverse.so
#   PYTHON   the interpreter, 3.9 or later; default: python3

set -eu

library=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
root=$PWD
environment=$root/.build/python
say() { echo "check-python: $*"; }

if ! [ -x "$environment/bin/python" ]; then "${PYTHON:-python3}" -m venv "$environment"; fi
# Installed again when the list changes.
if ! cmp -s bindings/python/requirements-dev.txt "$environment/requirements-dev.txt"; then
  say "installing the packages of requirements-dev.txt into $environment"
  "$environment/bin/pip" install -q --disable-pip-version-check -r bindings/python/requirements-dev.txt
  cp bindings/python/requirements-dev.txt "$environment/requirements-dev.txt"
fi
python=$environment/bin/python
# The sources, and not what may be installed.
export XVERSE_LIBRARY="$library" PYTHONPATH="$root/bindings/python/src" PYTHONDONTWRITEBYTECODE=1

say "declarations"
"$python" scripts/generate_python_ffi.py --check
say "types"
(cd bindings/python && "$environment/bin/mypy")
say "tests"
(cd bindings/python && "$python" -m pytest -rs "$@")
say "all good"
