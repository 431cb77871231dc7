#!/bin/sh
# Installs into a temporary prefix and uses what is there as a stranger would: headers, pkg-config, CMake, every example.
# usage: scripts/check-examples.sh [MODEL]      MODEL is the demonstration model when not given

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
model=$(realpath "${1:-$root/examples/demo-model}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cd "$root"

say() { echo "check-examples: $*"; }

die() {
  echo "check-examples: $*" >&2
  exit 1
}

# Runs a program that must end with the given exit status.
ends_with() {
  expected=$1
  shift
  got=0
  "$@" >"$work/said" 2>&1 </dev/null || got=$?
  [ "$got" = "$expected" ] || die "exit status $got, expected $expected: $*"
}

# Runs a program that must say something, and shows the first line of it.
speaks() {
  "$@" >"$work/said" </dev/null || die "failed: $*"
  [ -s "$work/said" ] || die "said nothing: $*"
  head -n 1 "$work/said" | cut -c 1-100
}

say "install"
make -s install PREFIX="$prefix" LIBDIR="$prefix/lib" INCLUDEDIR="$prefix/include" BINDIR="$prefix/bin" PC_RPATH=1
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
speaks "$prefix/bin/xverse" --version
[ "$("$prefix/bin/xverse" --version)" = "xverse $(pkg-config --modversion xverse)" ] || die "versions differ"

say "command-line tool"
xverse=$prefix/bin/xverse
ends_with 0 "$xverse" info
ends_with 0 "$xverse" help chat
ends_with 2 "$xverse" generat
ends_with 2 "$xverse" generate "$work" --temprature 1
grep -q "did you mean '--temperature'" "$work/said" || die "no suggestion: $(cat "$work/said")"
ends_with 2 "$xverse" generate "$work" "text" --top-p 2
ends_with 1 "$xverse" generate "$work/missing" "text"
grep -q "^xverse: .*missing" "$work/said" || die "the message names no file: $(cat "$work/said")"
ends_with 0 "$xverse" info "$model" --json
text="Once upon a time"
ids=$("$xverse" tokenize "$model" "$text" --ids)
[ "$(echo "$ids" | xargs "$xverse" tokenize "$model" --decode)" = "$text" ] || die "tokens do not give the text back"
printf 'Hi\n/reset\nHi\n' | "$xverse" chat "$model" --greedy --max-new-tokens 20 >"$work/said" || die "chat failed"
[ "$(wc -l <"$work/said")" -ge 2 ] || die "chat gave no two answers"
printf 'Hi\n' | "$xverse" chat "$model" --echo --greedy --max-new-tokens 20 >"$work/said" || die "chat --echo failed"
[ "$(head -n 1 "$work/said")" = "> Hi" ] || die "chat --echo gave no message"

rest=$("$xverse" generate "$model" "How many legs does a spider have?" --chat --prefill "A spider has" --greedy)
[ "A spider has$rest" = "A spider has eight legs." ] || die "a prefilled answer goes on with '$rest'"
ends_with 2 "$xverse" generate "$model" "$text" --prefill "A spider"
grep -q -- "--prefill needs --chat" "$work/said" || die "no reason: $(cat "$work/said")"

say "bytes that are not UTF-8, as arguments"
odd=$work/$(printf '\304\243\320\315')
ln -s "$model" "$odd"
speaks "$xverse" generate "$odd" "$text" --greedy --max-new-tokens 8
[ "$("$xverse" generate "$odd" "$text" --greedy --max-new-tokens 8)" = \
  "$("$xverse" generate "$model" "$text" --greedy --max-new-tokens 8)" ] || die "another answer by another name"
ends_with 0 "$xverse" convert "$odd" "$odd-new" --quantize int8
[ -d "$odd-new" ] || die "nothing in the place that was named"
ends_with 1 "$xverse" info "$odd-missing"
grep -q "^xverse: .*$(printf '\357\277\275').*-missing" "$work/said" || die "the message names no file: $(cat "$work/said")"
latin=$(printf 'caf\351')
printf '%s' "$latin" >"$odd.txt"
ids=$("$xverse" tokenize "$model" "$latin" --ids)
[ -n "$ids" ] || die "no ids of an argument"
[ "$ids" = "$("$xverse" tokenize "$model" - --ids <"$odd.txt")" ] || die "other ids from an argument"
[ "$ids" != "$("$xverse" tokenize "$model" "$(printf 'caf\357\277\275')" --ids)" ] || die "the argument's bytes were mended"
ends_with 0 "$xverse" generate "$model" "$latin" --greedy --max-new-tokens 4
ends_with 0 "$xverse" generate "$model" --prompt-file "$odd.txt" --greedy --max-new-tokens 4
ends_with 0 "$xverse" generate "$model" "$latin" --chat --system "$latin" --prefill "$latin" --greedy --max-new-tokens 4
# A conversation that goes on in another process is the conversation that never ended; a message that it says is cached.
printf 'Hi\nWho are you?\n' | "$xverse" chat "$model" --greedy --max-new-tokens 20 --stats >"$work/whole" 2>"$work/stats" ||
  die "chat failed"
printf 'Hi\n' | "$xverse" chat "$model" --greedy --max-new-tokens 20 --save "$work/a.chat" >"$work/parts" ||
  die "chat --save failed"
printf 'Who are you?\n' | "$xverse" chat "$model" --greedy --max-new-tokens 20 --stats --resume "$work/a.chat" \
  --save "$work/a.chat" >>"$work/parts" 2>"$work/resumed" || die "chat --resume failed"
cmp -s "$work/whole" "$work/parts" || die "chat --resume went on otherwise: $(cat "$work/parts")"
cached() { sed -n 's/.*(\([0-9]* cached\)).*/\1/p' "$1" | tail -n 1; }
[ "$(cached "$work/stats")" = "$(cached "$work/resumed")" ] || die "chat --resume evaluated again what it had"
ends_with 2 "$xverse" chat "$model" --resume "$work/a.chat" --system "Be brief."
ends_with 1 "$xverse" chat "$model" --resume "$work/a.chat" --kv-type int8
grep -q "kv_type f32" "$work/said" || die "the message names no kv_type: $(cat "$work/said")"
ends_with 1 "$xverse" chat "$model" --resume "$work/no.chat"

say "header in C and C++"
echo '#include <xverse.h>
int main(void) { return xverse_version()[0] == 0; }' >"$work/main.c"
cp "$work/main.c" "$work/main.cc"
for standard in c99 c11; do
  # shellcheck disable=SC2046 # A list of words.
  ${CC:-cc} -std=$standard -Wall -Wextra -Wpedantic -Wconversion -Wpadded -Werror "$work/main.c" -o "$work/main" \
    $(pkg-config --cflags --libs xverse)
  "$work/main" || die "the C program fails"
done
for standard in c++11 c++20; do
  # shellcheck disable=SC2046 # A list of words.
  ${CXX:-c++} -std=$standard -Wall -Wextra -Wpedantic -Werror "$work/main.cc" -o "$work/main" \
    $(pkg-config --cflags --libs xverse)
  "$work/main" || die "the C++ program fails"
done

say "C examples"
cp -r examples "$work/examples"
make -s -C "$work/examples/c" CFLAGS='-O2 -Wall -Wextra -Wpedantic -Werror'
speaks "$work/examples/c/generate" "$model" "Once upon a time"
echo "Hello!" | "$work/examples/c/chat" "$model" >"$work/said" || die "chat.c failed"
[ "$(wc -c <"$work/said")" -gt 6 ] || die "chat.c said nothing"
speaks "$work/examples/c/serve_many" "$model"
for turn in 0 1; do
  [ "$(grep -c "^\[[0-9]*\.$turn\] " "$work/said")" = 16 ] || die "serve_many.c has not 16 answers $turn"
done

say "C++ examples"
make -s -C "$work/examples/cpp" CXXFLAGS='-O2 -Wall -Wextra -Wpedantic -Werror'
speaks "$work/examples/cpp/generate" "$model" "Once upon a time"
echo "Hello!" | "$work/examples/cpp/chat" "$model" >"$work/said" || die "chat.cpp failed"
[ "$(wc -c <"$work/said")" -gt 6 ] || die "chat.cpp said nothing"
ends_with 1 "$work/examples/cpp/generate" "$work/missing" "text"
grep -q "^no model there: .*missing" "$work/said" || die "the exception has no message: $(cat "$work/said")"

if command -v python3 >/dev/null; then
  say "Python examples"
  export XVERSE_LIBRARY="$prefix/lib/libxverse.so.1" PYTHONPATH="$root/bindings/python/src" PYTHONDONTWRITEBYTECODE=1
  speaks python3 -c 'import xverse; print(xverse.version())'
  speaks python3 "$work/examples/python/generate.py" "$model" "Once upon a time"
  echo "Hello!" | python3 "$work/examples/python/chat.py" "$model" >"$work/said" || die "chat.py failed"
  [ "$(wc -c <"$work/said")" -gt 6 ] || die "chat.py said nothing"
  speaks python3 "$work/examples/python/many.py" "$model"
  [ "$(grep -c " \.\.\. " "$work/said")" -ge 16 ] || die "many.py has not 16 answers"
  request='{"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 20, "stream": true}'
  python3 "$work/examples/python/complete.py" "$model" "$request" >"$work/said" || die "complete.py failed"
  [ "$(tail -n 2 "$work/said" | head -n 1)" = "data: [DONE]" ] || die "complete.py gave no whole stream"
  ends_with 1 python3 "$work/examples/python/complete.py" "$model" '{"messages": [], "tools": [{}]}'
fi

if command -v cmake >/dev/null; then
  say "CMake"
  mkdir "$work/cmake"
  cp "$work/main.c" "$work/examples/cpp/generate.cpp" "$work/cmake"
  echo 'cmake_minimum_required(VERSION 3.16)
project(consumer C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(xverse REQUIRED)
add_executable(main main.c)
target_link_libraries(main PRIVATE xverse::xverse)
add_executable(generate generate.cpp)
target_link_libraries(generate PRIVATE xverse::xverse)' >"$work/cmake/CMakeLists.txt"
  cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/said" || die "$(cat "$work/said")"
  cmake --build "$work/cmake/build" >"$work/said" || die "$(cat "$work/said")"
  "$work/cmake/build/main" || die "the CMake program fails"
  speaks "$work/cmake/build/generate" "$model" "Once upon a time"
fi

say "uninstall"
make -s uninstall PREFIX="$prefix" LIBDIR="$prefix/lib" INCLUDEDIR="$prefix/include" BINDIR="$prefix/bin"
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || die "left behind: $left"
say "all good"
