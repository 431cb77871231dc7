#!/bin/sh
# Makes a Debian or Ubuntu machine ready to build libxverse: looks for Swift and installs the packages that are missing.
# Says nothing when all is there; exits 1, having said what to type, when something is missing that it cannot install.
# Without Swift it installs nothing, so that one message names everything.
# usage: scripts/setup-debian.sh [PACKAGE ...]      more packages that are wanted

set -eu

# The last four are libraries that the Swift toolchain itself is linked with.
wanted="libopenblas-dev libomp-dev pkg-config make gcc g++ libc6-dev binutils $*"
wanted="$wanted libcurl4 libncurses6 libsqlite3-0 libxml2"
# The release that is offered. Any since 6.0 will do: it brought the typed throws that the sources use.
release=6.3.1
swift=${SWIFT:-swift}
sudo_refuses=""

say() { printf 'setup: %s\n' "$*" >&2; }

# What to type so that root runs $1. A login shell of root, because su keeps a PATH without sbin, where dpkg fails.
as_root() {
  if [ "$(id -u)" = 0 ] || [ -n "$sudo_refuses" ]; then
    echo "$1"
  elif command -v sudo >/dev/null; then
    echo "sudo sh -c '$1'"
  else
    echo "su - -c '$1'"
  fi
}

# Prints those of its arguments that are no installed packages. What packages provide counts too: libcurl4 is called
# libcurl4t64 on newer systems.
missing_among() {
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}, ${Provides}\n' | sed -n 's/^installed //p' |
    tr -s ',\n' ' ')
  for package; do
    case " $installed " in
      *" $package "*) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

install_command() { echo "apt-get update && apt-get install -y --no-install-recommends ${1% }"; }

# Prints "absent", "broken" (it does not run, perhaps for want of a library), "old VERSION" or "fine".
swift_state() {
  if ! command -v "$swift" >/dev/null; then
    echo absent
  elif ! answer=$("$swift" --version 2>/dev/null); then
    echo broken
  else
    version=$(echo "$answer" | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    # OpenStack's client is called swift as well.
    if [ -z "$version" ]; then
      echo absent
    elif [ "${version%%.*}" -lt 6 ]; then
      echo "old $version"
    else
      echo fine
    fi
  fi
}

# Says how to get a Swift toolchain, and with it all else that is missing.
explain_swift() {
  case $1 in
    old*) say "Swift ${1#old } in $(command -v "$swift") is too old; version 6.0 or later is needed." ;;
    *) say "a Swift toolchain, version 6.0 or later, is missing: there is none in PATH." ;;
  esac
  if [ -n "${SUDO_USER:-}" ]; then
    say "sudo hides your PATH: run make without it; it asks for sudo itself."
    return
  fi
  for place in "${HOME:-/root}/swift" /opt/swift; do
    if [ -x "$place/usr/bin/swift" ] && [ "$(command -v "$swift")" != "$place/usr/bin/swift" ]; then
      say "There is one in $place; use it with"
      echo "    export PATH=\"$place/usr/bin:\$PATH\"" >&2
      return
    fi
  done
  platform=debian12
  if [ "$(uname -m)" = aarch64 ]; then platform=debian12-aarch64; fi
  name=swift-$release-RELEASE
  lacking=""
  if command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2086 # A list of words.
    lacking=$(missing_among $wanted curl ca-certificates)
  fi
  say "On Debian 12, paste these lines (3.3 GB on disk), then run make again in the same shell:"
  {
    if [ -n "$lacking" ]; then echo "    $(as_root "$(install_command "$lacking")")"; fi
    echo '    mkdir -p ~/swift'
    echo "    curl -fL https://download.swift.org/swift-$release-release/$platform/$name/$name-$platform.tar.gz |" \
      'tar xz -C ~/swift --strip-components=1'
    # shellcheck disable=SC2016 # For the reader's shell.
    echo '    export PATH="$HOME/swift/usr/bin:$PATH"'
  } >&2
  say "Put the last one into ~/.profile too. Other systems, and signatures: https://www.swift.org/install/linux/"
}

# Runs $1 as root; shows what it says only when it fails.
run_as_root() {
  if [ "$(id -u)" = 0 ]; then
    said=$(sh -c "$1" 2>&1 </dev/null)
  else
    said=$(sudo sh -c "$1" 2>&1 </dev/null)
  fi
}

# Asks here, because the installation runs with its messages out of sight.
may_use_sudo() {
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null && return
  [ -t 0 ] || return 1
  say "packages are missing; sudo may ask for your password to install them"
  sudo -v || sudo_refuses=yes
  [ -z "$sudo_refuses" ]
}

state=$(swift_state)
case $state in
  absent | old*)
    explain_swift "$state"
    exit 1
    ;;
esac

missing=""
if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2086 # A list of words.
  missing=$(missing_among $wanted)
else
  say "this is not Debian; make sure that these exist under your system's names: $wanted"
fi

if [ -n "$missing" ]; then
  command=$(install_command "$missing")
  if [ "$(id -u)" != 0 ] && ! may_use_sudo; then
    say "packages are missing; ${sudo_refuses:+as root, }install them with"
    echo "    $(as_root "$command")" >&2
    exit 1
  fi
  say "installing ${missing% } (a minute or more)"
  said=""
  if ! run_as_root "export DEBIAN_FRONTEND=noninteractive; $command"; then
    printf '%s\n' "$said" >&2
    case $said in
      *"emporary failure resolving"* | *"ould not resolve"* | *"ould not connect"* | *"onnection timed out"*)
        cause="the network or Debian's server does not answer"
        ;;
      *"enough free space"* | *"No space left"*) cause="there is no space left" ;;
      *"Could not get lock"*) cause="another program is installing packages" ;;
      *) cause="apt-get says why above" ;;
    esac
    say "the packages could not be installed: $cause; when that is over, run make again"
    exit 1
  fi
  state=$(swift_state)
fi

if [ "$state" = broken ]; then
  "$swift" --version >&2 || true
  say "$(command -v "$swift") does not run, as it says above; is it the toolchain for this system?"
  exit 1
fi
