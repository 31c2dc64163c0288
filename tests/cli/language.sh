#!/usr/bin/env bash
# The examples of docs/language.md: each block marked ```poa is a description that has to
# elaborate; each marked ```poa body holds statements of an entry with inputs x and rows.
# And the descriptions in examples/.
set -euo pipefail
poa=$1
page=$(dirname "$0")/../../docs/language.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk -v folder="$work" '
  /^```poa body$/ { number++; file = sprintf("%s/%02d.poa", folder, number); body = 1
    print "entry step(x[4, 8], rows[2]: i32) {" >file; next }
  /^```poa$/ { number++; file = sprintf("%s/%02d.poa", folder, number); body = 0; next }
  /^```/ { if (file && body) print "}" >file; file = "" }
  file { print >file }
' "$page"

count=0
for file in "$work"/*.poa "$(dirname "$page")"/../examples/*.poa; do
  entries=$("$poa" ir "$file" --verify --after simplify)
  grep -q '^graph @step' <<<"$entries"
  count=$((count + 1))
done
echo "$count examples"
((count >= 14))
