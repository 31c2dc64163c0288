#!/usr/bin/env bash
# training.sh [--record] [RECIPE..]: seconds per training step of `poa bench` and of the same step in
# PyTorch, in turn and on the same sub-networks; prints a table. --record also puts it into
# bench/RESULTS.md. PEERS names a Python with torch (bench/peers/README.md); ROUNDS, STEPS (of a
# round), THREADS and PEER_FLAGS (of bench_step.py, as --bf16) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
poa=${POA:-build/release/poa}
python=${PEERS:-python3}
rounds=${ROUNDS:-3} steps=${STEPS:-8} threads=${THREADS:-$(nproc)}
record=0
if [[ ${1:-} == --record ]]; then
  record=1
  shift
fi
(($#)) || set -- tiny small vits16 swin_small resnet_small
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The sub-networks of the steps, as bench_step.py wants them: 128x4,64x3,..
choices() {
  "$python" -c 'import json, sys
print(",".join("x".join(str(n) for n in step["at"].values()) for step in json.load(sys.stdin)["timed_steps"]))'
}

# peer RECIPE POLICY CHOICES: whether threads that wait should spin depends on the BLAS library and on
# who else is on the machine, so both are tried.
peer() {
  env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS="$threads" OMP_WAIT_POLICY="$2" \
    "$python" bench/peers/bench_step.py "$1" --json --threads "$threads" --steps "$steps" \
    --elastic "$3" ${PEER_FLAGS:-}
}

for recipe in "$@"; do
  for ((round = 0; round < rounds; round++)); do
    echo "training.sh: $recipe, round $((round + 1)) of $rounds" >&2
    "$poa" bench "$recipe" --json --threads "$threads" --steps "$steps" --seed "$round" >"$work/$recipe.poa.$round"
    drawn=$(choices <"$work/$recipe.poa.$round")
    for policy in active passive; do
      peer "$recipe" $policy "$drawn" >"$work/$recipe.$policy.$round"
    done
  done
done

table() {
  local versions
  versions=$("$python" -c 'import torch; print(f"PyTorch {torch.__version__}")')
  echo "$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo), $threads threads; $versions${PEER_FLAGS:+ ($PEER_FLAGS)}."
  echo "Medians of $rounds rounds in turn, each of $steps steps; in brackets how many times longer than poa."
  echo
  "$python" - "$work" "$rounds" "$@" <<'END'
import json, statistics, sys
folder, rounds, *recipes = sys.argv[1:]
print("| recipe | poa, s | PyTorch, s | OMP_WAIT_POLICY | poa, GiB | PyTorch, GiB |\n|---|---|---|---|---|---|")
for recipe in recipes:
    runs = lambda who: [json.load(open(f"{folder}/{recipe}.{who}.{i}")) for i in range(int(rounds))]
    ours, policies = runs("poa"), {policy: runs(policy) for policy in ("active", "passive")}
    times = lambda rounds: statistics.median(r["median"] for r in rounds)
    policy = min(policies, key=lambda p: times(policies[p]))
    theirs = policies[policy]
    steps = [r["step_seconds"]["median"] for r in ours]
    ratio = statistics.median(r["median"] / step for r, step in zip(theirs, steps))
    memory = [max(r["peak_resident_bytes"] for r in rs) / 2**30 for rs in ([r["memory"] for r in ours], theirs)]
    print(f"| {recipe} | {statistics.median(steps):.3f} | {times(theirs):.3f} ({ratio:.2f}) | {policy} "
          f"| {memory[0]:.2f} | {memory[1]:.2f} |")
END
}

if ((record)); then
  table "$@" | bench/put_section.sh training
else
  table "$@"
fi
