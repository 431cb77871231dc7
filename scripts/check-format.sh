#!/bin/sh
# Checks the layout of the sources: swift-format and, where it exists, clang-format; they change nothing.

set -eu

cd "$(dirname "$0")/.."

swift format lint --strict --parallel --recursive Package.swift Sources Tests Fuzz Benchmarks examples/swift/Package.swift \
  examples/swift/Sources
if command -v clang-format >/dev/null; then
  find include Sources Tests Fuzz Benchmarks examples -name '*.[ch]' -exec clang-format --dry-run --Werror {} +
fi
