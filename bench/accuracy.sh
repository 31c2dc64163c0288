#!/usr/bin/env bash
# accuracy.sh [--record] DATA [RECIPE..]: trains each recipe on DATA as its constants say and prints
# the k-NN accuracy of six of its sub-networks, beside that of their random initialization (the
# same run after one step, whose learning rate is 0). --record also puts it into bench/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
poa=${POA:-build/release/poa}
record=0
if [[ ${1:-} == --record ]]; then
  record=1
  shift
fi
data=$1
shift
(($#)) || set -- swin_fashion resnet_fashion
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# six RECIPE: points from the smallest to the largest sub-network, evenly spread over the lattice.
six() {
  "$poa" info "$1" --json | python3 -c 'import json, sys
points = json.load(sys.stdin)["subnetworks"]
for i in range(6):
    point = points[round(i * (len(points) - 1) / 5)]
    print(",".join(f"{name}={point[name]}" for name in point if name not in ("parameters", "flops")))'
}

knn() {
  "$poa" eval "$1" --data "$data" --at "$2" --json |
    python3 -c 'import json, sys; print("%.2f" % (100 * json.load(sys.stdin)[0]["knn"]))'
}

# train RECIPE OUT FLAGS..: training alone, without the evaluation at its end.
train() {
  local recipe=$1 out=$2
  shift 2
  "$poa" train "$recipe" --data "$data" --out "$out" "$@" --set eval_images=1 >"$out.log" 2>&1
}

table() {
  local recipe start seconds point
  for recipe in "$@"; do
    train "$recipe" "$work/$recipe.untrained" --steps 1
    start=$(date +%s)
    train "$recipe" "$work/$recipe"
    seconds=$(($(date +%s) - start))
    echo "$recipe, $(nproc) cores: $seconds s from start to the end of the run."
    echo
    echo "| sub-network | k-NN % | untrained |"
    echo "|---|---|---|"
    six "$recipe" | while read -r point; do
      echo "| $point | $(knn "$work/$recipe" "$point") | $(knn "$work/$recipe.untrained" "$point") |"
    done
    echo
  done
}

table "$@" | tee "$work/table"
((record == 0)) || bench/put_section.sh accuracy <"$work/table" >/dev/null
