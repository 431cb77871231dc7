#!/bin/sh
# Sets up an environment with what the web demos need, and serves the chat page.
# usage: scripts/web.sh LIBRARY [OPTION ...]      LIBRARY is a libxverse.so, the options are those of examples/web/chat_demo.py
# MODEL comes through the environment; the demonstration model when it is empty.

set -eu

library=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
environment=$PWD/.build/web
wanted=examples/web/requirements.txt

if ! [ -x "$environment/bin/python" ]; then "${PYTHON:-python3}" -m venv "$environment"; fi
# Installed again when the list changes.
if ! cmp -s "$wanted" "$environment/requirements.txt"; then
  echo "web: installing gradio into $environment" >&2
  "$environment/bin/pip" install -q --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$environment/requirements.txt"
fi
export XVERSE_LIBRARY="$library" PYTHONPATH="$PWD/bindings/python/src"
# Without a desktop a browser for terminals would cover this one.
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then set -- --open "$@"; fi
exec "$environment/bin/python" -u examples/web/chat_demo.py --model_path "${MODEL:-examples/demo-model}" "$@"
