#!/bin/sh
# Builds the C kernels for ARM, without OpenMP, and tries their NEON set under qemu-user with the programs of
# Tests/KernelTests/c; then does the same for this machine and all sets that its CPU runs.
# usage: scripts/check-neon.sh

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
kernels=$root/Sources/CXverseKernels
programs=$root/Tests/KernelTests/c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The toolchain's, which compiles the library: older ones of the system may lack what the kernels use.
clang=${CLANG:-$(dirname "$(readlink -f "$(command -v "${SWIFT:-swift}")")")/clang}
linker=${CROSS_CC:-aarch64-linux-gnu-gcc}
names="quantized layers attention"

say() { echo "check-neon: $*"; }

die() {
  echo "check-neon: $*" >&2
  exit 1
}

# compiled FLAG...: all objects, with the warnings and the optimization of Package.swift.
compiled() {
  rm -f "$work"/*.o
  for file in "$kernels"/*.c "$kernels"/*/*.c "$programs"/*.c; do
    object=$work/$(echo "${file#"$root/"}" | tr / _).o
    "$clang" "$@" -std=gnu11 -O3 -Wall -Wextra -Wpointer-arith -Werror -I"$kernels/include" -c "$file" -o "$object"
  done
}

# linked NAME COMMAND...: a program of these objects.
linked() {
  name=$1
  shift
  "$@" "$work"/Sources_*.o "$work/Tests_KernelTests_c_$name.c.o" -lm -o "$work/$name"
}

command -v "$clang" >/dev/null ||
  die "$clang is missing, which is part of every Swift toolchain: put the toolchain's usr/bin into PATH, or set CLANG"

wanted=neon
if [ "$(uname -m)" != aarch64 ]; then
  command -v "$linker" >/dev/null ||
    die "$linker is missing: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross, or set CROSS_CC"
  emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) ||
    die "qemu-aarch64 is missing: apt-get install qemu-user-static"
  compiled --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include
  for name in $names; do
    linked "$name" "$linker" -static
    say "$emulator $name neon"
    "$emulator" "$work/$name" neon || die "the NEON kernels fail"
  done
  wanted=reference
fi

compiled
for name in $names; do
  linked "$name" "$clang"
  say "$name $wanted"
  "$work/$name" "$wanted" || die "kernels of this CPU fail"
done
say "all good"
