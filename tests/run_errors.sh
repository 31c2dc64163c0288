#!/usr/bin/env bash
# run_errors.sh POA [--update] [FILE.poa..]: every message that a wrong description gets.
#
# Each FILE.poa here is a description with a mistake; FILE.expected holds all that
# `poa ir FILE.poa` says about it on stderr. A first line "# ARGUMENTS: .." adds arguments
# to the command. With --update the .expected files are written anew, to be read before
# they are committed.
set -euo pipefail
poa=$(realpath "$1")
shift
update=false
[[ ${1:-} == --update ]] && update=true && shift
cd "$(dirname "$0")/errors"
(($#)) || set -- *.poa

failures=0
for file in "$@"; do
  file=$(basename "$file")
  expected=${file%.poa}.expected
  read -ra arguments < <(sed -n '1s/^# ARGUMENTS: *//p' "$file") || true
  status=0
  said=$(POA_MODELS=../../models "$poa" ir "$file" "${arguments[@]}" 2>&1 >/dev/null) || status=$?
  if ((status != 1)); then
    echo "FAILED $file: exit status $status instead of 1" && failures=$((failures + 1))
  elif $update; then
    printf '%s\n' "$said" >"$expected"
  elif ! diff -u "$expected" <(printf '%s\n' "$said"); then
    echo "FAILED $file" && failures=$((failures + 1))
  fi
done
echo "$# descriptions, $failures failed"
((failures == 0))
