#!/usr/bin/env bash
# slow: compiles every recorded step for three kinds of CPU.
#
# Each step recorded in tests/golden/ comes out within its limits, on CPUs with wide vectors
# and without, to the same numbers on any number of threads, and with room for more masked
# patches than there are. A wrong result is noticed.
set -euo pipefail
poa=$1
golden=$(cd "$(dirname "$0")/../golden" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache GOMP_SPINCOUNT=1000
cd "$work"

failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# The recipe of a case's kind of network; the case sets its constants.
recipe_of() {
  case $1 in
    swin*) echo swin_small ;;
    resnet*) echo resnet_small ;;
    *) echo tiny ;;
  esac
}

# replay NAME FLAGS..: into NAME.log, with what went wrong on the terminal.
replay() {
  local name=$1
  shift
  "$poa" replay "$(recipe_of "$name")" "$golden/$name.safetensors" "$@" >"$name.log" 2>"$name.err" && return
  fail "$name $*"
  grep -m 5 FAILED "$name.log" || tail -3 "$name.err"
}

cpus="x86-64"
[[ $(uname -m) == x86_64 ]] || cpus=
grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo && cpus+=" x86-64-v3"

for file in "$golden"/*.safetensors; do
  name=$(basename "$file" .safetensors)
  replay "$name" --threads 1
  cp "$name.log" one.log
  for threads in 2 3; do
    replay "$name" --threads $threads
    cmp one.log "$name.log" || fail "$name differs on $threads threads"
  done
  for cpu in $cpus; do replay "$name" --cpu "$cpu"; done
done

# 21 patches are masked in the first two, 18 in the third.
replay vit_a --set max_masked=28
replay vit_b --set max_masked=22
replay vit_centering --set max_masked=40

"$poa" replay tiny "$golden/vit_a.safetensors" --set lambda_ie=0.79 >wrong.log && fail "wrong passes"
grep -q 'loss.total .* FAILED' wrong.log || fail "no word of the wrong loss"
grep -q 'target.dino.0 .* ok' wrong.log || fail "targets do not depend on lambda_ie"

((failures == 0)) && echo "1 passed, 0 failed"
