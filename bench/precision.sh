#!/usr/bin/env bash
# precision.sh [--record] DATA [RECIPE]: trains RECIPE (fashion) on DATA for STEPS steps (500) in fp32, in
# bf16 from the same seed, and in fp32 from another seed, whose distance is the measure of noise;
# prints the mean of the total loss over each tenth of the run. --record also puts the table into
# bench/RESULTS.md. RUNNER is put before the commands, "nice" for example.
set -euo pipefail
cd "$(dirname "$0")/.."
poa=${POA:-build/release/poa}
steps=${STEPS:-500}
record=0
if [[ ${1:-} == --record ]]; then
  record=1
  shift
fi
data=$1 recipe=${2:-fashion}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# train NAME FLAGS..: training alone, without the evaluation at its end.
train() {
  local name=$1
  shift
  echo "precision.sh: $recipe, $name" >&2
  ${RUNNER:-} "$poa" train "$recipe" --data "$data" --out "$work/$name" --steps "$steps" --quiet \
    --set eval_images=1 "$@" >"$work/$name.log" 2>&1 || { cat "$work/$name.log" >&2; exit 1; }
}

table() {
  echo "$recipe, $steps steps, $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)."
  echo
  python3 - "$work" <<'END'
import json, sys
def losses(name):
    return [json.loads(line)["loss.total"] for line in open(f"{sys.argv[1]}/{name}/metrics.jsonl")]
runs = [losses(name) for name in ("fp32", "bf16", "other")]
size = max(1, len(runs[0]) // 10)
print("| steps | fp32 | bf16 | fp32, another seed |\n|---|---|---|---|")
means = []
for start in range(0, len(runs[0]) - size + 1, size):
    means.append([sum(run[start:start + size]) / size for run in runs])
    print(f"| {start + 1} - {start + size} | " + " | ".join(f"{mean:.4f}" for mean in means[-1]) + " |")
apart = lambda i: sum(abs(mean[i] - mean[0]) for mean in means) / len(means)
print(f"\nMean distance from the first column: bf16 {apart(1):.4f}, another seed {apart(2):.4f}.")
END
}

train fp32
train bf16 --precision bf16
train other --seed 1
table | tee "$work/table"
((record == 0)) || bench/put_section.sh precision <"$work/table" >/dev/null
