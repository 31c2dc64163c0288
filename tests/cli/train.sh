#!/usr/bin/env bash
# slow: trains, with and without being stopped on the way.
#
# A run that is killed and resumed, by signal or by force, and a run on any number of
# threads end with the same checkpoint, bit for bit. A run is never overwritten. Steps whose
# loss is not finite change nothing, are told, and training goes on.
set -euo pipefail
poa=$1
model=$(cd "$(dirname "$0")/../support" && pwd)/micro.poa
data=/usr/share/datasets/fashion-mnist
[[ -d $data ]] || { echo "skipped: Debian's dataset-fashion-mnist is not installed"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache GOMP_SPINCOUNT=1000
cd "$work"

train() { "$poa" train "$model" --data "$data" --seed 7 --quiet "$@"; }
fail() { echo "FAILED: $*"; exit 1; }
same() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" || fail "$1 and $2 differ"; }

# Waits until run $1 has logged $2 steps, for at most a minute.
wait_for_steps() {
  for _ in $(seq 3000); do
    [[ -f $1/metrics.jsonl && $(wc -l <"$1/metrics.jsonl") -ge $2 ]] && return
    sleep 0.02
  done
  fail "$1 does not get to step $2"
}

train --out whole >whole.log
[[ $(wc -l <whole/metrics.jsonl) == 20 ]] || fail "metrics.jsonl has not 20 lines"
grep -q '<svg' whole/report.html || fail "the report has no chart"

for threads in 1 3; do
  train --out "threads$threads" --threads "$threads" >/dev/null
  same whole "threads$threads"
  cmp whole/metrics.jsonl "threads$threads/metrics.jsonl" || fail "metrics on $threads threads"
done

# Long enough that the signal comes in the middle on any machine.
steps=2000
train --out long --steps $steps --every 300 >/dev/null
for signal in TERM KILL; do
  "$poa" train "$model" --data "$data" --seed 7 --quiet --out "$signal" --steps $steps --every 300 \
    >"$signal.log" 2>&1 &
  process=$!
  wait_for_steps "$signal" 310
  kill -"$signal" "$process"
  wait "$process" && status=0 || status=$?
  done_steps=$(wc -l <"$signal/metrics.jsonl")
  [[ $done_steps -lt $steps ]] || fail "SIG$signal came after all $done_steps steps"
  [[ $signal == TERM && $status != 130 ]] && fail "exit status $status after SIGTERM"
  train --out "$signal" --resume >/dev/null
  same long "$signal"
  cmp long/metrics.jsonl "$signal/metrics.jsonl" || fail "metrics after SIG$signal"
done

train --out whole >again.log 2>&1 && fail "an existing run was overwritten"
grep -q -- '--resume' again.log || fail "the message does not offer --resume"
train --out none --resume >none.log 2>&1 && fail "resumed a run that is not there"
train --out whole --resume --set drop_path=0 >set.log 2>&1 && fail "constants of a run changed"
train --out whole --resume >/dev/null || fail "resuming a finished run fails"
[[ $(wc -l <whole/metrics.jsonl) == 20 ]] || fail "a finished run went on"

# A learning rate that sends everything to infinity within a few steps.
train --out wild --set base_lr=1e30 >wild.log 2>&1 || fail "a loss that is not finite ends training"
grep -q 'not finite: .*head' wild.log || fail "no word of the branch and head that is not finite"
grep -q 'steps skipped' wild.log || fail "skipped steps are not counted"
[[ $(wc -l <wild/metrics.jsonl) == 20 ]] || fail "training did not go on"

"$poa" eval whole --data "$data" --all --limit 200 >eval.log
[[ $(grep -c '^ *[0-9]' eval.log) == 4 ]] || fail "eval --all does not list the 4 sub-networks"
echo "1 passed, 0 failed"
