#!/bin/sh
# Checks the C++ header and the Swift package against an installed library (PC_RPATH=1), outside the dynamic linker's path.
# usage: scripts/check-bindings.sh PREFIX
#   SWIFT, CXX, CLANGXX, CLANG_TIDY   other compilers and tools than the usual ones

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
prefix=$(realpath "${1:?usage: check-bindings.sh PREFIX}")
model=$root/examples/demo-model
package=bindings/swift/XVERSE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
swift=${SWIFT:-swift}
gxx=${CXX:-g++}
# The Swift toolchain has another clang, which comes first in PATH.
clangxx=${CLANGXX:-$(command -v clang++-14 || echo /usr/bin/clang++)}
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export SWIFT_BACKTRACE=enable=no
unset LD_LIBRARY_PATH

say() { echo "check-bindings: $*"; }

die() {
  echo "check-bindings: $*" >&2
  exit 1
}

# Runs a command in silence, and shows what it said when it fails.
run() {
  "$@" >"$work/said" 2>&1 </dev/null || {
    tail -n 60 "$work/said" >&2
    die "failed: $*"
  }
}

# ---- C++ ----

program=Tests/CAPITests/c/lifecycle.cpp
flags="$(pkg-config --cflags xverse) -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
libraries=$(pkg-config --libs xverse)

# What the preprocessor leaves is code without comments.
functions() { "$gxx" -E -P -x c++ "$1" | grep -oE '\bxverse_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u; }
functions include/xverse.h >"$work/declared"
sed 's|//.*||' include/xverse.hpp | grep -oE '\bxverse_[a-z0-9_]+' | sort -u >"$work/used"
unused=$(comm -23 "$work/declared" "$work/used")
[ -z "$unused" ] || die "xverse.hpp does not call $unused"

say "C++17, 20 and 23 with $gxx and $clangxx, with exceptions and without"
for compiler in "$gxx" "$clangxx"; do
  for standard in c++17 c++20 c++2b; do
    for exceptions in -fexceptions -fno-exceptions; do
      echo "$compiler -std=$standard $exceptions -fsyntax-only $flags $program"
    done
  done
  echo "$compiler -std=c++17 -DXVERSE_NO_EXCEPTIONS -fsyntax-only $flags $program"
done >"$work/compilations"
run xargs -P "$(nproc)" -I '{}' sh -c '{}' <"$work/compilations"

say "the C++ program under AddressSanitizer, with exceptions and without in one program"
sanitized="-g -fsanitize=address,undefined"
# shellcheck disable=SC2086 # Lists of words.
{
  run "$gxx" -std=c++17 $sanitized $flags -Dmain=with_exceptions -c $program -o "$work/with.o"
  run "$gxx" -std=c++20 -fno-exceptions $sanitized $flags -Dmain=without_exceptions -c $program -o "$work/without.o"
  echo 'int with_exceptions(int, char **);
int without_exceptions(int, char **);
int main(int argc, char **argv) { return with_exceptions(argc, argv) || without_exceptions(argc, argv); }' \
    >"$work/main.cpp"
  run "$gxx" $sanitized "$work/main.cpp" "$work/with.o" "$work/without.o" $libraries -o "$work/program"
}
# With one compute thread, because LeakSanitizer stops at the threads of libomp.
run env XVERSE_NUM_THREADS=1 "$work/program" "$model"

say "clang-tidy"
tidy=${CLANG_TIDY:-$(command -v clang-tidy-14 || echo clang-tidy)}
# shellcheck disable=SC2086
run xargs -P "$(nproc)" -I '{}' "$tidy" --quiet '{}' -- -std=c++17 $flags <<END
$program
examples/cpp/generate.cpp
examples/cpp/chat.cpp
END

# ---- Swift ----

say "the Swift package"
scratch=.build/bindings
# The manifest reads xverse.pc, which a cache of manifests would not notice.
built="--manifest-cache none -Xswiftc -warnings-as-errors"
# shellcheck disable=SC2086
run "$swift" build --build-tests --package-path $package --scratch-path $scratch $built
# shellcheck disable=SC2086
run "$swift" test --skip-build --disable-xctest --package-path $package --scratch-path $scratch $built
grep -a 'Test run with' "$work/said"

say "its public interface and documentation"
mkdir "$work/symbols"
target=$("$swift" -print-target-info | sed -n 's/.*"triple": "\(.*\)".*/\1/p' | head -n 1)
run "$swift" symbolgraph-extract -module-name XVERSE -target "$target" -I "$scratch/debug/Modules" \
  -Xcc "-fmodule-map-file=$package/Sources/CXverse/module.modulemap" -Xcc "-I$prefix/include" \
  -minimum-access-level public -output-dir "$work/symbols"
symbols=$work/symbols/XVERSE.symbols.json
grep -q '"spelling":"Session"' "$symbols" || die "no symbols in $symbols"
pointers=$(grep -oE '"spelling":"[^"]*(Unsafe|OpaquePointer|xverse_)[^"]*"' "$symbols" | sort -u || true)
[ -z "$pointers" ] || die "C shows in the public interface: $pointers"
docc=$(dirname "$(realpath "$(command -v "$swift")")")/docc
run "$docc" convert $package/Sources/XVERSE/XVERSE.docc --additional-symbol-graph-dir "$work/symbols" \
  --fallback-display-name XVERSE --fallback-bundle-identifier xverse --output-dir "$work/documentation" \
  --warnings-as-errors

say "the Swift examples, which find the library by themselves"
# shellcheck disable=SC2086
run "$swift" build --package-path examples/swift --scratch-path .build/examples $built
run .build/examples/debug/generate "$model" "Once upon a time"
[ "$(wc -w <"$work/said")" -gt 10 ] || die "generate said too little: $(cat "$work/said")"
echo "How many legs does a spider have?" | .build/examples/debug/chat "$model" >"$work/said" || die "chat failed"
[ "$(wc -w <"$work/said")" -gt 2 ] || die "chat said too little: $(cat "$work/said")"
say "all good"
