#!/bin/sh
# Installs what `make deb`, `make dist` and `make wheel` made into bare Debian systems, and uses it there: the wheel where
# there is neither Swift nor a compiler, on Debian 12 and 13; the Debian packages and the tarball, with the README's
# programs in C, C++ and Python, on Debian 12.
# usage: scripts/check-packages.sh [wheel13|debian12 ...]      both when none is named
#   MIRROR   Debian's mirror
# Needs root and mmdebstrap. The bare systems are kept in .build/roots.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
: "${MIRROR:=http://deb.debian.org/debian}"
roots=$root/.build/roots
question="How many legs does a spider have?"
work=""

say() { echo "check-packages: $*"; }

die() {
  echo "check-packages: $*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "only root may run programs in another root: sudo make check-packages"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
for kind in deb whl tar.gz; do
  ls dist/*.$kind >/dev/null 2>&1 || die "there is no dist/*.$kind; run make deb dist wheel"
done

# Runs a command in the root, where processes, devices and shared memory are as here. Nothing of it is left mounted.
inside() {
  # shellcheck disable=SC2016 # The inner shell's.
  unshare --mount --propagation private sh -c '
    mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      sh -euc "cd /check; $1"' "$work" "$1"
}

# Runs a command in the root that must print something, and shows the beginning.
speaks() {
  said=$(inside "$1") || die "failed: $1"
  [ -n "$said" ] || die "printed nothing: $1"
  printf '%s\n' "$said" | head -n 1 | cut -c 1-100
}

# Runs a command in the root that must print the demonstration model's answer to the question about spiders.
answers() {
  said=$(inside "$1") || die "failed: $1"
  [ "$said" = "A spider has eight legs." ] || die "printed '$said': $1"
}

# Runs apt-get in the root; shows what it says only when it fails.
apt() {
  inside "apt-get -q $1" >"$work/apt.txt" 2>&1 || die "apt-get $1: $(cat "$work/apt.txt")"
}

# Unpacks a bare system of release $1 with Python, made at the first time, and puts into its folder /check what is
# installed and tried there.
prepare() {
  if ! [ -e "$roots/$1.tar" ]; then
    say "making a bare system of $1, once (some minutes)"
    mkdir -p "$roots"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv "$1" "$roots/$1.new.tar" "$MIRROR"
    mv "$roots/$1.new.tar" "$roots/$1.tar"
  fi
  work=$(mktemp -d)
  tar -C "$work" --numeric-owner -xf "$roots/$1.tar"
  cp -L /etc/resolv.conf "$work/etc/resolv.conf"
  mkdir "$work/check"
  cp dist/*.deb dist/*.whl dist/*.tar.gz "$work/check"
  rm -f "$work"/check/*-dbgsym_*
  cp -r examples/demo-model "$work/check/XVERSE-7B-Chat"
  cp -r bindings/python/src "$work/check/python"
  packaging/check/programs.sh "$work/check/programs"
}

finish() {
  if [ -n "$work" ]; then rm -rf --one-file-system "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# The README's program in Python answers with the wheel alone, and calibration finds the OpenBLAS of the wheel.
check_wheel() {
  say "$1: the wheel, where there is neither Swift nor a compiler"
  inside '! command -v swift cc gcc clang' || die "there is a compiler"
  inside 'python3 -m venv env && env/bin/pip install -q --no-index *.whl' || die "pip failed"
  speaks 'env/bin/python programs/readme.py'
  answers 'env/bin/python programs/calibrate.py XVERSE-7B-Chat'
}

check_debian() {
  say "$1: apt install ./*.deb"
  apt update
  apt 'install -y --no-install-recommends ./*.deb'
  # shellcheck disable=SC2016 # For the shell inside.
  inside '[ "$(xverse --version)" = "xverse $(dpkg-query -W -f "\${Version}" xverse)" ]' || die "versions differ"
  answers "xverse generate XVERSE-7B-Chat --chat --greedy '$question'"
  speaks 'PYTHONPATH=python python3 programs/readme.py'
  say "$1: programs in C and C++, through pkg-config and CMake"
  apt 'install -y --no-install-recommends gcc g++ libc6-dev make pkg-config cmake'
  inside 'sh programs/build.sh system'
  for program in c cpp cmake-c cmake-cpp; do answers "system/$program XVERSE-7B-Chat"; done
  say "$1: what is recommended too, so that the default threads are OpenMP's and calibration works"
  apt 'install -y --no-install-recommends libomp5 libopenblas0'
  speaks 'xverse info | grep "^threading *openmp"'
  # shellcheck disable=SC2016
  speaks 'printf "A spider has eight legs. %.0s" $(seq 100) >text.txt &&
    xverse convert XVERSE-7B-Chat quantized --quantize int8 --calibration text.txt >/dev/null 2>&1 && ls quantized'
  say "$1: the tarball, without the packages"
  apt 'purge -y xverse libxverse-dev libxverse1'
  inside '! ls /usr/lib/*/libxverse* /usr/include/xverse.h /usr/bin/xverse 2>/dev/null' || die "purge left files"
  inside 'mkdir moved && tar -xzf xverse-*.tar.gz -C moved && mv moved/xverse-* moved/place'
  answers "moved/place/bin/xverse generate XVERSE-7B-Chat --chat --greedy '$question'"
  inside 'PKG_CONFIG_PATH=/check/moved/place/lib/pkgconfig CMAKE_PREFIX_PATH=/check/moved/place sh programs/build.sh tarball'
  for program in c cpp cmake-c cmake-cpp; do answers "tarball/$program XVERSE-7B-Chat"; done
}

[ $# -gt 0 ] || set -- wheel13 debian12
for part; do
  case $part in
    wheel13)
      prepare trixie
      check_wheel "Debian 13"
      ;;
    debian12)
      prepare bookworm
      check_wheel "Debian 12"
      check_debian "Debian 12"
      ;;
    *) die "'$part' is no part, expected wheel13 or debian12" ;;
  esac
  finish
  work=""
done
say "all passed"
