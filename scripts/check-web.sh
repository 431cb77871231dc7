#!/bin/sh
# Tries the web demos in a headless Chromium.
# usage: scripts/check-web.sh LIBRARY [PYTEST ARGUMENT ...]      LIBRARY is a libxverse.so

set -eu

library=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
environment=$PWD/.build/check-web
wanted="examples/web/requirements.txt examples/web/requirements-dev.txt"

for program in chromium chromedriver; do
  command -v $program >/dev/null || {
    echo "check-web: there is no $program: apt-get install chromium chromium-driver" >&2
    exit 1
  }
done
if ! [ -x "$environment/bin/python" ]; then "${PYTHON:-python3}" -m venv "$environment"; fi
# Installed again when a list changes.
# shellcheck disable=SC2086 # A list of words.
if ! cat $wanted | cmp -s - "$environment/requirements.txt"; then
  echo "check-web: installing gradio, pytest and selenium into $environment" >&2
  "$environment/bin/pip" install -q --disable-pip-version-check -r examples/web/requirements.txt \
    -r examples/web/requirements-dev.txt
  cat $wanted >"$environment/requirements.txt"
fi
export XVERSE_LIBRARY="$library" PYTHONPATH="$PWD/bindings/python/src" PYTHONDONTWRITEBYTECODE=1
exec "$environment/bin/python" -m pytest -q -rs -p no:cacheprovider examples/web "$@"
