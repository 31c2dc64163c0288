#!/usr/bin/env bash
# slow: every stage of every recipe prints a text that reads back and prints the same.
set -euo pipefail
poa=$1
models=$(cd "$(dirname "$0")/../../models" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
checked=0

check() {
  "$poa" opt first.ir >second.ir
  cmp first.ir second.ir || { echo "FAILED: $* does not read back as printed"; exit 1; }
  checked=$((checked + 1))
}

for file in "$models"/*.poa; do
  model=$(basename "$file" .poa)
  grep -q '^set ' "$file" || continue # a library, no recipe
  "$poa" ir "$model" >first.ir
  check "$model as elaborated"
  for pass in specialize simplify cut_rows differentiate expand recompute fuse layout schedule; do
    "$poa" ir "$model" --after "$pass" >first.ir
    check "$model after $pass"
  done
  "$poa" ir "$model" --after lower_precision --precision bf16 >first.ir
  check "$model in bf16"
done
echo "$checked passed, 0 failed"
