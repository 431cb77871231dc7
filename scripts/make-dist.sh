#!/bin/sh
# Packs what `make install` installs into dist/xverse-VERSION-linux-ARCH.tar.gz, which can be unpacked anywhere.
# usage: VERSION=... scripts/make-dist.sh

set -eu

cd "$(dirname "$0")/.."
umask 022
name=xverse-$VERSION-linux-$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name
documents=$tree/share/doc/xverse
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

make -s install DESTDIR= PREFIX="$tree" LIBDIR="$tree/lib" INCLUDEDIR="$tree/include" BINDIR="$tree/bin" \
  DATADIR="$tree/share" ZSHDIR="$tree/share/zsh/site-functions" PC_RPATH=1 RELOCATABLE=1 >/dev/null
mkdir -p "$documents"
cp -r README.md CHANGELOG.md LICENSE docs "$documents"
mkdir -p "$documents/packaging"
cp -r packaging/licenses "$documents/packaging"
scripts/make_sbom.py "$VERSION" >"$documents/xverse.spdx.json"

mkdir -p dist
rm -f dist/xverse-*.tar.gz
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
  gzip -9n >"$work/new.tar.gz"
mv "$work/new.tar.gz" "dist/$name.tar.gz"
ls -sh "dist/$name.tar.gz"
