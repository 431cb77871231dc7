#!/bin/sh
# Builds the programs of this folder into a new folder, through pkg-config and through CMake.
# usage: build.sh FOLDER [PREFIX]      PREFIX is where libxverse was unpacked; the system's when not given

set -eu

folder=$1
prefix=${2:-}
programs=$(dirname "$0")
if [ -n "$prefix" ]; then export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"; fi
mkdir "$folder"
# shellcheck disable=SC2046 # Lists of flags.
cc -Wall -Wextra -Werror "$programs/readme.c" -o "$folder/c" $(pkg-config --cflags --libs xverse)
# shellcheck disable=SC2046
c++ -Wall -Wextra -Werror "$programs/answer.cpp" -o "$folder/cpp" $(pkg-config --cflags --libs xverse)
cmake -S "$programs" -B "$folder.cmake" ${prefix:+"-DCMAKE_PREFIX_PATH=$prefix"} >/dev/null
cmake --build "$folder.cmake" >/dev/null
cp "$folder.cmake/cmake-readme" "$folder.cmake/cmake-answer" "$folder"
