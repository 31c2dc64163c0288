#!/usr/bin/env bash
# poa bench: its JSON is one object with all that is measured, --at fixes the sub-network, the
# lattice's points come from the deck otherwise, and kernels come from disk the second time.
set -euo pipefail
poa=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

small=img_size=8,patch_size=4,head_dim=16,min_width=16,max_width=48,min_depth=1,max_depth=3
small+=,batch_size=4,n_local=2,local_size=4,prototypes=[24],head_hidden=32,head_bottleneck=16
bench=("$poa" bench tiny --set "$small" --cache "$folder/cache" --threads 2)

# value KEY: the number behind the first "KEY" of the JSON.
value() {
  grep -m1 -o "\"$1\":[[:space:]]*[0-9.e+-]*" out.json | sed 's/.*:[[:space:]]*//'
}
check() {
  local condition=$1
  if ! awk "BEGIN { exit !($condition) }"; then
    echo "not so: $condition" >&2
    cat out.json >&2
    exit 1
  fi
}

"${bench[@]}" --steps 3 --json >out.json
for key in model cpu threads steps step_seconds median lower_quartile upper_quartile peak_gflops step_s mfu \
  model_gflop run_gflop planned_peak_bytes rss_peak_bytes cold_s warm_s new_width_ms new_depth_ms kernels \
  kernels_compiled precision timed_steps compile pass_seconds kernel_seconds programs profile families branches \
  labels memory; do
  grep -q "\"$key\":" out.json || { echo "the JSON lacks '$key'" >&2; exit 1; }
done
check "$(value threads) == 2 && $(value median) > 0 && $(value min) <= $(value median)"
check "$(value model_gflop) > 0 && $(value run_gflop) > 0 && $(value peak_gflops) > 0.1"
# The share of the peak is what it is said to be, to the digits that are printed.
check "$(value mfu) / ($(value model_gflop) / ($(value step_s) * $(value peak_gflops))) - 1 < 1e-6"
check "1 - $(value mfu) / ($(value model_gflop) / ($(value step_s) * $(value peak_gflops))) < 1e-6"
check "$(value min) <= $(value lower_quartile) && $(value upper_quartile) <= $(value max)"
check "$(value kernels_compiled) > 0 && $(value kernels_from_disk) == 0"
check "$(value arena_bytes) > 0 && $(value peak_resident_bytes) > $(value parameter_bytes)"

"${bench[@]}" --steps 3 --json >out.json
check "$(value kernels_compiled) == 0 && $(value kernels_from_disk) > 0"

"${bench[@]}" --steps 2 --at width=32,depth=2 >out.txt
test "$(grep -c 'width=32,depth=2' out.txt)" = 3 # two steps and the one timed by launch
grep -q ' gemm$' out.txt
# Time by branch, as the description names them.
for branch in 'teacher at max' 'student at max' 'student at sampled' adamw_and_ema; do
  grep -q " $branch$" out.txt || { echo "no branch '$branch'" >&2; exit 1; }
done

if "${bench[@]}" --at width=33 2>err.txt; then
  echo "a point outside the lattice is accepted" >&2
  exit 1
fi
grep -q "outside the lattice" err.txt
