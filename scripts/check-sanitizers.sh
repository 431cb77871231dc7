#!/bin/sh
# Runs the tests of the C ABI under AddressSanitizer and ThreadSanitizer, and against the library that `make lib` built
# the C programs of Tests/CAPITests/c, one of them under valgrind.
# usage: scripts/check-sanitizers.sh [MODEL]      without MODEL the C programs get the tiny model of the tests

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
model=${1:+$(realpath "$1")}
library=$root/.build-lib/release/libxverse.so
programs=$root/Tests/CAPITests/c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
# The toolchain's crash reporter would wait for a terminal.
export SWIFT_BACKTRACE=enable=no

say() { echo "check-sanitizers: $*"; }

die() {
  echo "check-sanitizers: $*" >&2
  exit 1
}

# Shows a command, runs it, and shows what it found when it fails.
run() {
  say "$*"
  "$@" >"$work/said" 2>&1 && return
  grep -E 'error:|✘|ERROR|WARNING|SUMMARY|^==|^ +#[0-9]' "$work/said" | head -n 300 >&2
  die "failed: $* ($(tail -n 1 "$work/said"))"
}

[ -f "$library" ] || die "$library is missing: make lib"
command -v valgrind >/dev/null || die "valgrind is missing: apt-get install valgrind"

# ---- AddressSanitizer, with LeakSanitizer at the end, and UndefinedBehaviorSanitizer in the C kernels ----

# tested SANITIZER SCRATCH FILTER [FLAG...]; XCTest, which has no tests here, leaks by itself.
tested() {
  sanitizer=$1 scratch=$2 filter=$3
  shift 3
  run swift build --build-tests --sanitize="$sanitizer" --scratch-path "$scratch" "$@"
  run swift test --skip-build --disable-xctest --no-parallel --sanitize="$sanitizer" --scratch-path "$scratch" \
    --filter "$filter" "$@"
  grep 'Test run with' "$work/said"
}

export XVERSE_TINY_MODEL="$work/tiny"
tested address .build-asan CAPITests -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined
unset XVERSE_TINY_MODEL
model=${model:-$work/tiny}

# ---- ThreadSanitizer ----

# It knows pthreads, and not what libomp does. The runtime behind NULL is published by a Synchronization.Mutex, which waits
# on a futex by itself and not through pthreads, so the sanitizer does not see its order.
echo 'race:XverseCAPI14DefaultRuntimeO6shared' >"$work/suppressions"
export XVERSE_THREADING=pthread
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 suppressions=$work/suppressions"
tested thread .build-tsan 'CAPITests.ABI/(ThreadTests|SchedulerTests)|RuntimeTests.ScheduleRandomTests'
unset XVERSE_THREADING TSAN_OPTIONS

# ---- C programs ----

# valgrind 3.19 cannot read the DWARF 5 of this toolchain and gives up.
strip --strip-debug -o "$work/libxverse.so.1" "$library"
ln -s libxverse.so.1 "$work/libxverse.so"
export LD_LIBRARY_PATH="$work"

built() {
  run "$@" -Wall -Wextra -Wpedantic -Werror -Iinclude -L"$work" -lxverse -o "$work/program"
}
for standard in c99 c11; do
  built "${CC:-cc}" -std=$standard -Wpadded "$programs/header_test.c"
  run "$work/program"
done
for standard in c++11 c++20; do
  built "${CXX:-c++}" -std=$standard -Wpadded "$programs/header_test.cpp"
  run "$work/program"
done
built "${CC:-cc}" -std=gnu11 "$programs/fork.c"
run "$work/program" "$model"
built "${CC:-cc}" -std=gnu11 "$programs/limits.c"
mkdir "$work/converted"
run "$work/program" "$model" "$work/converted"

"${CC:-cc}" -E -P include/xverse.h | grep -oE '\bxverse_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/declared"
grep -oE '\bxverse_[a-z0-9_]+ *\(' "$programs/lifecycle.c" | tr -d ' (' | sort -u >"$work/called"
uncalled=$(comm -23 "$work/declared" "$work/called")
[ -z "$uncalled" ] || die "lifecycle.c does not call $uncalled"
built "${CC:-cc}" -std=gnu11 -gdwarf-4 "$programs/lifecycle.c"
run "$work/program" "$model"

# ---- valgrind, and the C examples under AddressSanitizer too ----

# Threads that wait for work look for it again and again, which takes for ever where one runs at a time. Lost are only blocks
# that nothing points to: Swift's metadata caches keep pointers into the middle of blocks or with bits added. What is in use at
# the end, however it is reached, must not depend on how often everything was done.
export XVERSE_NUM_THREADS=1
for rounds in 1 3; do
  run valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
    --error-exitcode=9 --num-callers=30 "$work/program" "$model" $rounds
  grep -E 'in use at exit|ERROR SUMMARY' "$work/said"
  sed -n 's/.*in use at exit: //p' "$work/said" >"$work/used$rounds"
done
for example in generate chat; do
  built "${CC:-cc}" -gdwarf-4 "examples/c/$example.c"
  echo "Hello!" >"$work/typed"
  text=
  [ $example = chat ] || text=Once
  run valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
    --error-exitcode=9 "$work/program" "$model" ${text:+"$text"} <"$work/typed"
  grep 'ERROR SUMMARY' "$work/said"
  built "${CC:-cc}" -g -fsanitize=address,undefined "examples/c/$example.c"
  run "$work/program" "$model" ${text:+"$text"} <"$work/typed"
done
cmp -s "$work/used1" "$work/used3" || die "three rounds leave more than one: $(cat "$work/used1" "$work/used3")"
say "all good"
