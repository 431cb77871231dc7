#!/bin/sh
# Compares what the shared library exports with what include/xverse.h declares: they must be the same names.
# usage: scripts/check-exports.sh LIBRARY

set -eu

library=${1:?usage: check-exports.sh LIBRARY}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The preprocessor takes the comments away; a name before '(' is then a function.
${CC:-cc} -E -P "$root/include/xverse.h" | grep -oE '\bxverse_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/declared"
# The version node XVERSE_1.0 itself is listed as an absolute symbol.
nm -D --defined-only --extern-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"

if ! diff -u --label include/xverse.h "$work/declared" --label "$library" "$work/exported"; then
  echo "check-exports: the header and the library disagree" >&2
  exit 1
fi

soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
if [ "$soname" != libxverse.so.1 ]; then
  echo "check-exports: the soname is '$soname', expected libxverse.so.1" >&2
  exit 1
fi
echo "check-exports: $(wc -l <"$work/declared") functions, as declared"
