#!/bin/sh
# Builds the README's programs in C and C++ into a new folder, through pkg-config and through CMake, which find libxverse with
# PKG_CONFIG_PATH and CMAKE_PREFIX_PATH, or else in the system.
# usage: build.sh FOLDER

set -eu

folder=$1
programs=$(dirname "$0")
mkdir "$folder"
# shellcheck disable=SC2046 # Lists of flags.
cc -Wall -Wextra -Werror "$programs/readme.c" -o "$folder/c" $(pkg-config --cflags --libs xverse)
# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Werror "$programs/readme.cpp" -o "$folder/cpp" $(pkg-config --cflags --libs xverse)
cmake -S "$programs" -B "$folder.cmake" >/dev/null
cmake --build "$folder.cmake" >/dev/null
cp "$folder.cmake/cmake-c" "$folder.cmake/cmake-cpp" "$folder"
