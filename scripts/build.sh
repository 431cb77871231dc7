#!/bin/sh
# Runs a build out of sight. When it fails, shows what it said and, in one line, the causes that compilers tell badly:
# a full disk, a folder that cannot be written, a build folder that was moved, a lock of another user.
# usage: scripts/build.sh COMMAND [ARGUMENT ...]

set -eu

cd "$(dirname "$0")/.."

say() { printf 'build: %s\n' "$*" >&2; }

if ! said=$(mkdir -p .build 2>&1); then
  say "cannot build in $PWD: ${said#mkdir: }"
  exit 1
elif ! [ -w .build ]; then
  say "cannot write to $PWD/.build, which belongs to $(stat -c %U .build); remove it, or build as its owner"
  exit 1
fi

status=0
said=$("$@" 2>&1) || status=$?
if [ $status = 0 ]; then exit; fi

printf '%s\n' "$said" >&2
case $said in
  *"No space left on device"* | *"I/O error (code: 28)"* | *"disk is full"* | *"Disk quota exceeded"*)
    # Compilers also write to the folder for temporary files.
    free=$(df -Ph . "${TMPDIR:-/tmp}" | awk 'NR > 1 { printf("%s%s free on %s", before, $4, $6); before = ", " }')
    say "there is no space left ($free); make room and run make again"
    ;;
  *"was compiled with module cache path"*)
    say "$PWD/.build was made in another folder; remove it and run make again"
    ;;
  *"invalid access to "*.lock*)
    lock=$(printf '%s\n' "$said" | sed -n 's/.*invalid access to \(.*\.lock\).*/\1/p' | head -n 1)
    say "$lock belongs to $(stat -c %U "$lock"), who built here before; remove it and run make again"
    ;;
esac
exit $status
