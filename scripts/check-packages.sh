#!/bin/sh
# Installs what `make deb`, `make dist` and `make wheel` made into bare Debian systems, and uses it there: the wheel where
# there is neither Swift nor a compiler, on Debian 12 and 13; the Debian packages and the tarball, with the README's
# programs in C and Python, one in C++ and one built by CMake, on Debian 12.
# usage: scripts/check-packages.sh [wheel13|debian12 ...]      both when none is named
#   MIRROR   Debian's mirror
# Needs root and mmdebstrap. The bare systems are kept in .build/roots.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
: "${MIRROR:=http://deb.debian.org/debian}"
roots=$root/.build/roots
work=""

say() { echo "check-packages: $*"; }

die() {
  echo "check-packages: $*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "only root may run programs in another root: sudo make check-packages"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
for kind in deb whl tar.gz; do
  set -- "$@" # Keeps the arguments while the glob is tested.
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

# Prints the first block of README.md in language $1 that contains $2.
block() {
  awk -v begin="\`\`\`$1" -v wanted="$2" '
    $0 == begin { inside = 1; text = ""; next }
    inside && $0 == "```" { inside = 0; if (index(text, wanted)) { printf "%s", text; exit } }
    inside { text = text $0 "\n" }' README.md
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
  cp -r packaging/check "$work/check/programs"
  block c xverse_session_generate >"$work/check/programs/readme.c"
  block python "Model(" >"$work/check/programs/readme.py"
}

finish() {
  if [ -n "$work" ]; then rm -rf --one-file-system "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# The README's program in Python answers with the wheel alone, and calibration finds the OpenBLAS of the wheel.
check_wheel() {
  say "$1: the wheel, where there is neither Swift nor a compiler"
  inside '! command -v swift cc gcc clang'
  inside 'python3 -m venv env && env/bin/pip install -q --no-index *.whl'
  inside 'env/bin/python programs/readme.py | tee answer.txt && [ -s answer.txt ]' && echo
  inside 'env/bin/python programs/calibrate.py XVERSE-7B-Chat'
}

check_debian() {
  say "$1: apt install ./*.deb"
  inside 'apt-get -q update && apt-get -q install -y --no-install-recommends ./*.deb' >"$work/check/apt.txt" 2>&1 ||
    die "apt failed: $(cat "$work/check/apt.txt")"
  inside '[ "$(xverse --version)" = "xverse $(dpkg-query -W -f "\${Version}" xverse)" ]'
  inside 'xverse generate XVERSE-7B-Chat --chat "How many legs does a spider have?" --greedy'
  inside 'PYTHONPATH=python python3 programs/readme.py | tee answer.txt && [ -s answer.txt ]' && echo
  say "$1: programs in C and C++, through pkg-config and CMake"
  inside 'apt-get -q install -y --no-install-recommends gcc g++ libc6-dev make pkg-config cmake' >"$work/check/apt.txt" \
    2>&1 || die "apt failed: $(cat "$work/check/apt.txt")"
  inside 'sh programs/build.sh system && for program in system/*; do "$program" XVERSE-7B-Chat; done'
  say "$1: the same with the tarball, without the packages"
  inside 'apt-get -q purge -y xverse libxverse-dev libxverse1' >"$work/check/apt.txt" 2>&1 ||
    die "apt failed: $(cat "$work/check/apt.txt")"
  inside '! ls /usr/lib/*/libxverse* /usr/include/xverse.h /usr/bin/xverse 2>/dev/null'
  inside 'mkdir moved && tar -xzf xverse-*.tar.gz -C moved && mv moved/xverse-* "moved/a place"'
  inside '"moved/a place/bin/xverse" generate XVERSE-7B-Chat --chat "How many legs does a spider have?" --greedy'
  inside 'ln -s "a place" moved/place && sh programs/build.sh tarball /check/moved/place &&
    for program in tarball/*; do "$program" XVERSE-7B-Chat; done'
}

for part in ${*:-wheel13 debian12}; do
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
