#!/bin/sh
# What `make bench` measures: one model, or random weights of a size in several types, which are kept for the next run.
# usage: scripts/bench.sh BENCH [OPTION ...]        BENCH is the xverse-bench program
#   MODEL   a model's directory; else:
#   SIZE    1b, the 1.5 G parameters of docs/performance.md, or 7b, the shape of XVERSE-7B
#   TYPES   types of its weights: f32 bf16 int8 int4; without f32 for 7b

set -eu

cd "$(dirname "$0")/.."

say() { printf 'bench: %s\n' "$*" >&2; }

bench=$1
shift
size=${SIZE:-1b}
kept=.build/bench
mkdir -p "$kept"

if [ -n "${MODEL:-}" ]; then
  exec "$bench" --json "$kept/model.json" "$@" "$MODEL"
fi

case $size in
  1b) types=${TYPES:-f32 bf16 int8 int4} ;;
  7b) types=${TYPES:-bf16 int8 int4} ;;
  *)
    say "SIZE is '$size', expected 1b or 7b"
    exit 2
    ;;
esac

set -- --json "$kept/$size.json" "$@"
for type in $types; do
  model=$kept/$size-$type
  if ! [ -d "$model" ]; then
    say "writing $model"
    python3 Benchmarks/make_random_checkpoint.py "$model" --preset "$size" --dtype "$type"
  fi
  set -- "$@" "$model"
done
exec "$bench" "$@"
