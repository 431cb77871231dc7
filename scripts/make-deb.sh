#!/bin/sh
# Builds the Debian packages into dist/, from what is built already where nothing has changed.
# usage: scripts/make-deb.sh

set -eu

cd "$(dirname "$0")/.."
scripts/setup-debian.sh debhelper dpkg-dev

# What debhelper leaves, and no more: debian/rules clean would remove the build, dh_clean files that end in ~ or .bak.
clean() {
  rm -rf debian/.debhelper debian/tmp debian/libxverse1 debian/libxverse-dev debian/xverse
  rm -f debian/files debian/debhelper-build-stamp debian/*.substvars debian/*.debhelper debian/*.debhelper.log
}

clean
trap clean EXIT
mkdir -p dist
rm -f dist/*.deb dist/*.buildinfo dist/*.changes
name=dist/xverse_$(dpkg-parsechangelog -S Version)_$(dpkg --print-architecture)
DEB_DIR=dist scripts/build.sh dpkg-buildpackage --build=binary --no-pre-clean --unsigned-source --unsigned-changes \
  --buildinfo-file="$name.buildinfo" --buildinfo-option=-udist --changes-file="$name.changes" --changes-option=-udist
ls -sh dist/*.deb
