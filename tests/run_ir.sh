#!/usr/bin/env bash
# run_ir.sh POA FILECHECK [FILE.txt..]: the text tests of the passes.
#
# Runs the "# RUN:" line of each file, where `poa` and `FileCheck` stand for the two
# programs, %s for the file, and `not` turns success into failure.
set -euo pipefail
poa_program=$1 filecheck_program=$2
shift 2
cd "$(dirname "$0")/ir"
(($#)) || set -- */*.txt

poa() { "$poa_program" "$@"; }
FileCheck() { "$filecheck_program" "$@"; }
not() { ! "$@"; }

failures=0
for file in "$@"; do
  mapfile -t lines < <(sed -n 's/^# RUN: *//p' "$file")
  ((${#lines[@]})) || { echo "FAILED $file: no RUN line" && failures=$((failures + 1)); }
  for line in "${lines[@]}"; do
    said=$(eval "${line//%s/$file}" 2>&1) && continue
    printf 'FAILED %s: %s\n%s\n' "$file" "$line" "$said"
    failures=$((failures + 1))
  done
done
echo "$# files, $failures failed"
((failures == 0))
