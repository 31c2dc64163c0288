#!/usr/bin/env bash
# slow: trains a little.
#
# A program that trains ends with the checkpoint that `poa train` writes, byte for byte, and each can
# resume the other's run.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data
command -v cc >/dev/null || skip "no C compiler to link with"
same() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" || fail "$1 and $2 differ"; }

"$poa" compile "$micro" --entry step -o trainer >/dev/null
"$poa" train "$micro" --data "$data" --seed 5 --quiet --out jit >/dev/null
./trainer --data "$data" --seed 5 --quiet --out aot >aot.log
same jit aot
grep -q 'intact' aot.log || fail "the trainer does not evaluate"
[[ -s aot/report.html ]] || fail "no report"

# Another number of steps moves the schedules.
"$poa" train "$micro" --data "$data" --seed 5 --quiet --steps 7 --out jit7 >/dev/null
./trainer --data "$data" --seed 5 --quiet --steps 7 --out aot7 >/dev/null
same jit7 aot7

# Constants set when compiling are those set when training.
"$poa" compile "$micro" --set ibot_weight=0.5,steps=6 --entry step -o other >/dev/null
"$poa" train "$micro" --set ibot_weight=0.5,steps=6 --data "$data" --quiet --out jit6 >/dev/null
./other --data "$data" --quiet --threads 1 --out aot6 >/dev/null
same jit6 aot6

# Each goes on with the other's run.
stop_at() { # FOLDER COMMAND..: stops it after some steps
  local folder=$1
  shift
  "$@" --data "$data" --seed 5 --quiet --steps 400 --every 5 --out "$folder" >/dev/null 2>&1 &
  local process=$!
  for _ in $(seq 3000); do
    [[ -f $folder/metrics.jsonl && $(wc -l <"$folder/metrics.jsonl") -ge 8 ]] && break
    sleep 0.02
  done
  kill -TERM "$process"
  wait "$process" || true
}
"$poa" train "$micro" --data "$data" --seed 5 --quiet --steps 400 --out long >/dev/null
stop_at from_jit "$poa" train "$micro"
./trainer --data "$data" --quiet --out from_jit --resume >/dev/null
same long from_jit
stop_at from_aot ./trainer
"$poa" train "$micro" --data "$data" --quiet --out from_aot --resume >/dev/null
same long from_aot

refuse 'constants are compiled in' ./trainer --data "$data" --set base_lr=1 --out x
refuse 'already holds a run' ./trainer --data "$data" --out aot
refuse 'no run to resume' ./trainer --data "$data" --out x --resume
refuse "has the constants 'ibot_weight" ./trainer --data "$data" --out jit6 --resume
refuse 'leave out --at' "$poa" compile "$micro" --entry step --at width=8 -o y
refuse 'takes flags alone' ./trainer fashion
ls | grep -qE '^[xy]' && fail "something was left behind"

# Where a tensor depends on the number of steps, the program cannot change it.
cat >stepped.poa <<'END'
elastic width: 2..4 step 2
params student
const steps = 3
entry step(crops[2, 1, 14, 14] from crops(count = 2)) {
  param weight[width] = ones
  update weight = weight * (1 - 1 / steps)
  report "loss.total" = sum(weight) + 0 * sum(crops)
}
END
sed -i 's/param weight\[width\] = ones/w = student at sampled: part()/; s/update weight = weight .*/for p in student { update p = p * (1 - 1 \/ steps) }/; s/sum(weight)/sum(w)/' stepped.poa
cat >>stepped.poa <<'END'
module part() {
  param weight[width] = ones
  return weight
}
END
"$poa" compile stepped.poa --entry step -o stepped >/dev/null
./stepped --data "$data" --quiet --out three >/dev/null
refuse 'compile again with --set steps=5' ./stepped --data "$data" --steps 5 --out five
exit 0
