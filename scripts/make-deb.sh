#!/bin/sh
# Builds the Debian packages into dist/, from what is built already where nothing has changed.
# usage: scripts/make-deb.sh

set -eu

cd "$(dirname "$0")/.."
scripts/setup-debian.sh debhelper dpkg-dev fakeroot

# dh_clean instead of debian/rules clean, which would remove the build.
dh_clean
mkdir -p dist
rm -f dist/*.deb dist/*.buildinfo dist/*.changes
name=dist/xverse_$(dpkg-parsechangelog -S Version)_$(dpkg --print-architecture)
DEB_DIR=dist scripts/build.sh dpkg-buildpackage --build=binary --no-pre-clean --unsigned-source --unsigned-changes \
  --buildinfo-file="$name.buildinfo" --buildinfo-option=-udist --changes-file="$name.changes" --changes-option=-udist
dh_clean
ls -sh dist/*.deb
