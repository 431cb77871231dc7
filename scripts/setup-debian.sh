#!/bin/sh
# Makes a Debian or Ubuntu machine ready to build libxverse: installs the missing packages and looks for Swift.
# Says nothing when all is there; exits 1, having said what to do, when something is missing that it cannot install.
# usage: scripts/setup-debian.sh [PACKAGE ...]      more packages that are wanted

set -eu

packages="libopenblas-dev libomp-dev pkg-config make gcc g++ libc6-dev binutils $*"

missing=""
if command -v dpkg-query >/dev/null; then
  for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
else
  echo "setup: this is not Debian; make sure that these exist under your system's names: $packages" >&2
fi

if [ -n "$missing" ]; then
  command="apt-get update && apt-get install -y --no-install-recommends$missing"
  if [ "$(id -u)" = 0 ]; then
    echo "setup: installing$missing" >&2
    DEBIAN_FRONTEND=noninteractive sh -c "$command" >&2
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    echo "setup: installing$missing" >&2
    sudo DEBIAN_FRONTEND=noninteractive sh -c "$command" >&2
  else
    echo "setup: packages are missing; install them with" >&2
    echo "    sudo sh -c '$command'" >&2
    exit 1
  fi
fi

# 6.0 brought the typed throws that the sources use.
swift_version=""
if command -v swift >/dev/null; then
  swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\..*/\1/p' | head -n 1)
fi
if [ "${swift_version:-0}" -lt 6 ]; then
  echo "setup: a Swift toolchain of version 6.0 or later is missing${swift_version:+ (found $swift_version)}." >&2
  echo "    Install one as described at https://www.swift.org/install/linux/ and put its usr/bin into PATH." >&2
  exit 1
fi
