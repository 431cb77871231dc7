#!/bin/sh
# Checks all sources with swift-format, clang-format, shellcheck and ruff.
# usage: scripts/lint.sh [fix]      fix: format the files instead, and apply the fixes that ruff calls safe
#   SWIFT   the toolchain's swift, which brings swift-format

set -eu

cd "$(dirname "$0")/.."
# Other versions have other rules. Debian 12 has clang-format 14 and shellcheck 0.9.
ruff_version=0.17.6
environment=.build/lint
swift=${SWIFT:-swift}
failed=""

say() { printf 'lint: %s\n' "$*" >&2; }

# Prints the files in the repository whose names match, those not yet added included, each with a NUL.
files() { git ls-files -z --cached --others --exclude-standard -- "$@" | sort -zu; }

ruff=$(command -v ruff || true)
if [ -z "$ruff" ] || [ "$("$ruff" --version)" != "ruff $ruff_version" ]; then ruff=$environment/bin/ruff; fi
if ! [ -x "$ruff" ] || [ "$("$ruff" --version)" != "ruff $ruff_version" ]; then
  say "installing ruff $ruff_version into $environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q --disable-pip-version-check "ruff==$ruff_version"
fi
clang_format=$(command -v clang-format-14 || command -v clang-format) || {
  say "clang-format is missing: apt-get install clang-format"
  exit 1
}

case ${1:-check} in
  fix)
    files '*.swift' | xargs -0 "$swift" format format --in-place --parallel
    files '*.[ch]' '*.[ch]pp' | xargs -0 "$clang_format" -i
    "$ruff" check -q --fix-only .
    "$ruff" format -q .
    ;;
  check)
    files '*.swift' | xargs -0 "$swift" format lint --strict --parallel || failed="$failed swift-format"
    files '*.[ch]' '*.[ch]pp' | xargs -0 "$clang_format" --dry-run --Werror || failed="$failed clang-format"
    files '*.sh' .ci/run | xargs -0 shellcheck || failed="$failed shellcheck"
    "$ruff" check -q --output-format concise . || failed="$failed ruff"
    "$ruff" format -q --check --output-format concise . || failed="$failed ruff"
    [ -z "$failed" ] || {
      say "failed:$failed; make format fixes the layout"
      exit 1
    }
    echo "lint: all clean"
    ;;
  *)
    say "'$1' is no mode, expected fix or nothing"
    exit 2
    ;;
esac
