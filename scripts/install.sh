#!/bin/sh
# Installs the built library and tool; `make install` gives the places and names in the environment.
# The built tool writes its manual page and the completions of the shells.
# Every file is first written beside its place as NAME.new, and renames come last: a full disk or Ctrl-C leaves what was
# there before, and no program ever finds half a library.

set -eu

cd "$(dirname "$0")/.."
umask 022
lib=$DESTDIR$LIBDIR
share=$DESTDIR$DATADIR
man=$share/man/man1/xverse.1
bash=$share/bash-completion/completions/xverse
zsh=$DESTDIR$ZSHDIR/_xverse
fish=$share/fish/vendor_completions.d/xverse.fish

set -- "$lib/$REALNAME" "$lib/$SONAME" "$lib/libxverse.so" "$DESTDIR$BINDIR/xverse" "$DESTDIR$INCLUDEDIR/xverse.h" \
  "$DESTDIR$INCLUDEDIR/xverse.hpp" \
  "$lib/pkgconfig/xverse.pc" "$lib/cmake/xverse/xverse-config.cmake" "$lib/cmake/xverse/xverse-config-version.cmake" \
  "$man" "$bash" "$zsh" "$fish"

finish() {
  status=$?
  for place; do rm -f "$place.new"; done
  if [ $status != 0 ]; then echo "install: stopped; what was installed before is unchanged" >&2; fi
}
trap 'finish "$@"' EXIT
trap 'exit 130' INT TERM HUP

# Path $1 for xverse.pc: as it is, or seen from the place of xverse.pc.
pc_path() {
  if [ -n "$RELOCATABLE" ]; then
    # shellcheck disable=SC2016 # pkg-config's variable.
    printf '${pcfiledir}/%s' "$(realpath -m --relative-to="$LIBDIR/pkgconfig" "$1")"
  else
    printf '%s' "$1"
  fi
}

# Copies template $1 to $2, with our paths in it.
substitute() {
  sed -e "s|@PREFIX@|$(pc_path "$PREFIX")|" -e "s|@LIBDIR@|$(pc_path "$LIBDIR")|" \
    -e "s|@INCLUDEDIR@|$(pc_path "$INCLUDEDIR")|" -e "s|@VERSION@|$VERSION|" \
    -e "s|@VERSION_MAJOR@|${VERSION%%.*}|" -e "s|@SONAME@|$SONAME|" \
    -e "s|@INCLUDEDIR_FROM_LIBDIR@|$(realpath -m --relative-to="$LIBDIR" "$INCLUDEDIR")|" \
    -e "s|@RPATH@|${PC_RPATH:+-Wl,-rpath,$(pc_path "$LIBDIR")}|" "$1" >"$2"
}

mkdir -p "$lib/pkgconfig" "$lib/cmake/xverse" "$DESTDIR$INCLUDEDIR" "$DESTDIR$BINDIR" "${man%/*}" "${bash%/*}" \
  "${zsh%/*}" "${fish%/*}"
install -m 755 "$BUILT_LIBRARY" "$lib/$REALNAME.new"
install -m 755 "$BUILT_TOOL" "$DESTDIR$BINDIR/xverse.new"
$STRIP -s "$lib/$REALNAME.new" "$DESTDIR$BINDIR/xverse.new"
for header in xverse.h xverse.hpp; do
  install -m 644 "include/$header" "$DESTDIR$INCLUDEDIR/$header.new"
done
substitute pkgconfig/xverse.pc.in "$lib/pkgconfig/xverse.pc.new"
for name in xverse-config xverse-config-version; do
  substitute cmake/$name.cmake.in "$lib/cmake/xverse/$name.cmake.new"
done
"$BUILT_TOOL" help --man >"$man.new"
"$BUILT_TOOL" completion bash >"$bash.new"
"$BUILT_TOOL" completion zsh >"$zsh.new"
"$BUILT_TOOL" completion fish >"$fish.new"
ln -sfn "$REALNAME" "$lib/$SONAME.new"
ln -sfn "$SONAME" "$lib/libxverse.so.new"

trap '' INT TERM HUP
for place; do mv -fT "$place.new" "$place"; done
if [ -z "$DESTDIR$RELOCATABLE" ] && [ "$(id -u)" = 0 ]; then ldconfig; fi
echo "installed libxverse $VERSION: $lib, $DESTDIR$INCLUDEDIR/xverse.h, $DESTDIR$BINDIR/xverse"
