#!/bin/sh
# Looks at the packages in dist/ without installing them: lintian, the files in them, programs built with the unpacked
# Debian packages and the tarball, answers from the wheel in a virtual environment, and a few import orders.
# usage: scripts/check-dist.sh

set -eu

cd "$(dirname "$0")/.."
scripts/setup-debian.sh lintian cmake python3-venv
root=$PWD
model=$root/examples/demo-model
question="How many legs does a spider have?"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "check-dist: $*"; }

die() {
  echo "check-dist: $*" >&2
  exit 1
}

# Runs a program that must print the demonstration model's answer to the question about spiders.
answers() {
  said=$("$@" </dev/null) || die "failed: $*"
  [ "$said" = "A spider has eight legs." ] || die "printed '$said': $*"
}

say "Debian packages"
# Every tag counts; what is overridden says why in debian/*.lintian-overrides.
lintian --allow-root --fail-on error,warning dist/*.changes
mkdir "$work/deb" "$work/tarball"
for deb in dist/libxverse1_*.deb dist/libxverse-dev_*.deb dist/xverse_*.deb; do dpkg-deb -x "$deb" "$work/deb"; done
library=$(echo "$work"/deb/usr/lib/*/libxverse.so.1)
[ -L "$library" ] || die "libxverse1 has no libxverse.so.1"
for file in bin/xverse share/man/man1/xverse.1.gz share/bash-completion/completions/xverse \
  share/zsh/vendor-completions/_xverse share/fish/vendor_completions.d/xverse.fish; do
  [ -s "$work/deb/usr/$file" ] || die "xverse has no $file"
done
scripts/check-exports.sh "$library"
# Debuggers find the symbols in libxverse1-dbgsym.
[ "$(nm "$library" 2>/dev/null | wc -l)" = 0 ] || die "libxverse1 is not stripped"
answers "$work/deb/usr/bin/xverse" generate "$model" --chat --greedy "$question"
packaging/check/programs.sh "$work/programs"
# The README's programs look for the model where they run.
ln -s "$model" "$work/XVERSE-7B-Chat"
PKG_CONFIG_SYSROOT_DIR=$work/deb PKG_CONFIG_PATH=${library%/*}/pkgconfig CMAKE_PREFIX_PATH=$work/deb/usr \
  "$work/programs/build.sh" "$work/with-deb"
for program in "$work"/with-deb/*; do
  answers env -C "$work" LD_LIBRARY_PATH="${library%/*}" "$program" XVERSE-7B-Chat
done

say "tarball"
tar -xzf dist/xverse-*.tar.gz -C "$work/tarball" --strip-components=1
[ -s "$work/tarball/share/doc/xverse/xverse.spdx.json" ] || die "the tarball has no bill of materials"
answers "$work/tarball/bin/xverse" generate "$model" --chat --greedy "$question"
PKG_CONFIG_PATH=$work/tarball/lib/pkgconfig CMAKE_PREFIX_PATH=$work/tarball "$work/programs/build.sh" "$work/with-tarball"
for program in "$work"/with-tarball/*; do answers env -C "$work" "$program" XVERSE-7B-Chat; done

say "wheel"
# As docs/packages.md says; a newer one means that the build has brought in a function of a newer glibc.
ls dist/libxverse-*-py3-none-manylinux_2_34_*.whl >/dev/null || die "the wheel is not for manylinux_2_34"
# With the packages of the system, for the import orders.
python3 -m venv --system-site-packages "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check --no-index --no-deps dist/*.whl
cd "$work"
unset PYTHONPATH XVERSE_LIBRARY
said=$(env/bin/python programs/readme.py) || die "the README's program in Python failed"
[ -n "$said" ] || die "the README's program in Python printed nothing"
answers env/bin/python programs/calibrate.py XVERSE-7B-Chat
env/bin/python "$root/scripts/check_import_order.py" --runs 4 "$model"
say "all as it should be"
