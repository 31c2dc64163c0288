#!/usr/bin/env bash
# Functions of plugins, as a user names them: the library is said by --plugin alone, and each way
# it can be missing is said in a message that tells what to do.
set -euo pipefail
poa=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# fails_with TEXT ARGUMENT..: poa fails, and says so.
fails_with() {
  local text=$1
  shift
  if "$poa" "$@" >out.txt 2>&1; then
    echo "poa $* did not fail" >&2
    exit 1
  fi
  if ! grep -qF "$text" out.txt || grep -q "core dumped" out.txt; then
    echo "poa $* does not say '$text', but:" >&2
    cat out.txt >&2
    exit 1
  fi
}

${CC:-cc} -O2 -shared -fPIC -o swish.so "$root/tests/plugins/swish.c" -lm
echo 'void other(void); void other(void) {}' >other.c
${CC:-cc} -shared -fPIC -o other.so other.c
bench=(bench "$root/examples/swish.poa" --no-cache --steps 1)

"$poa" "${bench[@]}" --plugin ./swish.so >out.txt
grep -q 'external swish_backward' out.txt
"$poa" "${bench[@]}" --plugin ./other.so --plugin swish.so >out.txt # the one that has it
"$poa" "${bench[@]}" --set in_c=false >out.txt                      # none is needed

fails_with "'swish_forward': no plugin was given; name the library that defines it" "${bench[@]}"
fails_with "plugin './missing.so': No such file or directory" "${bench[@]}" --plugin ./missing.so
fails_with "'swish_forward' is defined by none of the plugins searched: './other.so'" \
  "${bench[@]}" --plugin ./other.so
fails_with "cannot load plugin './other.c'" "${bench[@]}" --plugin ./other.c
fails_with "plugin '.' is not a file" "${bench[@]}" --plugin .
fails_with "plugin 'libm.so.6': No such file or directory" "${bench[@]}" --plugin libm.so.6

# What the plugin is linked against is no plugin: a description cannot reach the C library.
sed 's/"swish_forward"(x, y, n: int64)/"system"(x)/' "$root/examples/swish.poa" >hostile.poa
fails_with "'system' is defined by none of the plugins" bench hostile.poa --no-cache --steps 1 \
  --plugin ./swish.so
