#!/usr/bin/env bash
# slow: compiles programs.
#
# Installed under a prefix, poa finds its recipes and links programs; its manual pages render; a C
# program uses the library through pkg-config, two networks at once.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
command -v cc >/dev/null && command -v cmake >/dev/null || skip "no cmake or C compiler"
build=$(dirname "$(realpath "$poa")")
cmake --install "$build" --prefix "$work/usr" >/dev/null
poa=$work/usr/bin/poa
"$poa" info tiny | grep -q "usr/share/poa/models" || fail "the installed recipes"
"$poa" compile "$micro" --at width=8,depth=1 -o program >/dev/null
head -c $((196 * 4)) /dev/zero | ./program | grep -q nan && fail "the program's features"
for page in poa poa-train poa-compile; do
  [[ -s usr/share/man/man1/$page.1 ]] || fail "no manual page $page"
done
if command -v groff >/dev/null; then
  groff -man -ww -Tutf8 usr/share/man/man1/*.1 2>groff.log >/dev/null
  [[ ! -s groff.log ]] || { head groff.log; fail "manual pages with warnings"; }
fi
command -v pkg-config >/dev/null || skip "no pkg-config"
flags=$(PKG_CONFIG_PATH=usr/lib/pkgconfig pkg-config --define-variable=prefix="$work/usr" --cflags --libs poa)
# Sanitized builds make a sanitized library, which a plain program cannot load.
nm -D usr/lib/libpoa.so | grep -q __asan && exit 0
cc "$tests/../examples/features.c" $flags -Wl,-rpath,"$work/usr/lib" -o features
./features "$micro" width=8,depth=1 | grep -q '^features\[0\] = ' || fail "the library"
status=0
./features nowhere.poa 2>err.log || status=$?
[[ $status == 1 ]] && grep -q nowhere err.log || fail "the library's errors"
exit 0
