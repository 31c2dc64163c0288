#!/usr/bin/env bash
# put_section.sh NAME: puts standard input into the section NAME of bench/RESULTS.md, in place of what
# was there, and shows it.
set -euo pipefail
file=$(dirname "$0")/RESULTS.md
text=$(cat)
printf '%s\n' "$text"
TEXT=$text awk -v name="$1" '
  $0 == "<!-- " name " -->" {print; print ""; print ENVIRON["TEXT"]; print ""; skipping = 1; next}
  $0 == "<!-- end of " name " -->" {skipping = 0}
  !skipping' "$file" >"$file.new"
mv "$file.new" "$file"
