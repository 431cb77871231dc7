#!/bin/sh
# Builds the fuzzer and runs each target for a while; a finding ends it. Fuzz/README.md tells what the targets are.
# usage: scripts/fuzz.sh [SECONDS [TARGET ...]]      a minute, and all targets, by default

set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift
swift=${SWIFT:-swift}
work=$PWD/.build-fuzz
program=$work/release/xverse-fuzz
# The toolchain's crash reporter would wait for a terminal.
export SWIFT_BACKTRACE=enable=no

die() {
  echo "fuzz: $*" >&2
  exit 1
}

case $seconds in
  '' | 0 | *[!0-9]*) die "'$seconds' is no number of seconds" ;;
esac

# ---- build ----

resources=$("$swift" -print-target-info 2>/dev/null | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p')
[ -n "$resources" ] || die "'$swift' does not tell where its libraries are: make setup tells how to get Swift"
XVERSE_LIBFUZZER=
for library in "$resources"/clang/lib/*/libclang_rt.fuzzer_no_main*; do
  case $library in
    *"$(uname -m)"*) XVERSE_LIBFUZZER=$library ;;
  esac
done
[ -f "$XVERSE_LIBFUZZER" ] || die "libclang_rt.fuzzer_no_main is not in $resources/clang/lib: this Swift toolchain comes \
without libFuzzer; those of swift.org for Debian and Ubuntu have it"
export XVERSE_LIBFUZZER

scripts/build.sh "$swift" build -c release --product xverse-fuzz --scratch-path "$work" --sanitize=address \
  -Xswiftc -sanitize-coverage=edge,inline-8bit-counters,pc-table,trace-cmp

# ---- run ----

targets=$("$program" --list)
for target; do
  # shellcheck disable=SC2086 # A list of words.
  printf '%s\n' $targets | grep -qxF -e "$target" || die "there is no target '$target', but $(printf '%s' "$targets" | tr '\n' ' ')"
done
# shellcheck disable=SC2086
[ $# != 0 ] || set -- $targets

# Readers that want files get them thousands of times a second.
scratch=$(mktemp -d -p /dev/shm xverse-fuzz.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/findings"

for target; do
  corpus=$work/corpus/$target
  mkdir -p "$corpus"
  dictionary=Fuzz/dictionaries/$target
  [ -f "$dictionary" ] || dictionary=
  if ! TMPDIR="$scratch" "$program" --target="$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    ${dictionary:+"-dict=$dictionary"} -print_final_stats=1 \
    -artifact_prefix="$work/findings/$target-" "$corpus" "Fuzz/corpus/$target" >"$scratch/said" 2>&1; then
    grep -E 'Fatal error|ERROR|SUMMARY|^ +#[0-9]' "$scratch/said" | head -n 60 >&2
    finding=$(sed -n 's/.*Test unit written to //p' "$scratch/said" | tail -n 1)
    [ -n "$finding" ] || {
      tail -n 20 "$scratch/said" >&2
      die "$target: the fuzzer did not run"
    }
    die "$target: a finding; to run it again: SWIFT_BACKTRACE=enable=no $program --target=$target $finding"
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/said")
  coverage=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$scratch/said")
  echo "fuzz: $target: $executions executions in $seconds s, coverage $coverage, no finding"
done
