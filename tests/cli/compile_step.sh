#!/usr/bin/env bash
# slow: trains a little.
#
# A program that trains ends with the checkpoint that `poa train` writes, byte for byte, and each
# can resume the other's run.
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
steps=2000 # long enough that the signal comes in the middle on any machine
stop_at() { # FOLDER COMMAND..: stops it after some steps
  local folder=$1
  shift
  "$@" --data "$data" --seed 5 --quiet --steps $steps --every 5 --out "$folder" >/dev/null 2>&1 &
  local process=$!
  for _ in $(seq 3000); do
    [[ -f $folder/metrics.jsonl && $(wc -l <"$folder/metrics.jsonl") -ge 8 ]] && break
    sleep 0.02
  done
  kill -TERM "$process"
  wait "$process" && fail "$folder was not stopped"
  [[ $(wc -l <"$folder/metrics.jsonl") -lt $steps ]] || fail "$folder was stopped too late"
}
"$poa" train "$micro" --data "$data" --seed 5 --quiet --steps $steps --out long >/dev/null
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

# A batch of images is the description's, whatever programs of features take.
step() { # FACTOR TOTAL: a description with one parameter
  cat <<END
const steps = 3, batch_size = 2
elastic width: 2..4 step 2
params student
module part() {
  param weight[width] = ones
  return weight
}
entry step(images[batch_size, 1, 14, 14] from crops(),
           lr from cosine(base = 1, final = 0, total = $2)) {
  w = student at sampled: part()
  report "loss.total" = sum(w) * mean(images)
  for p in student { update p = p * $1 - lr * mean(images) }
}
END
}
step 0.5 steps >images.poa
"$poa" compile images.poa --entry step -o images >/dev/null
./images --data "$data" --quiet --steps 9 --out images.aot >images.log
"$poa" train images.poa --data "$data" --quiet --steps 9 --out images.jit >/dev/null
same images.jit images.aot
grep -q "no evaluation: .*'features'" images.log || fail "no word of the missing evaluation"
refuse '--emit shared' "$poa" compile images.poa --entry other -o y
refuse 'leave out --batch' "$poa" compile images.poa --entry step --batch 3 -o y
refuse 'leave out --weights' "$poa" compile images.poa --entry step --weights images.aot -o y
refuse '--set steps=N' "$poa" compile images.poa --entry step --set steps=0 -o y

# Where the code depends on the number of steps, or a schedule does not follow it, the program
# cannot change it.
step '(1 - 1 / steps)' steps >stepped.poa
step 0.5 'min(steps, 50)' >bounded.poa
for name in stepped bounded; do
  "$poa" compile $name.poa --entry step -o $name >/dev/null
  ./$name --data "$data" --quiet --out $name.run >/dev/null
  refuse 'compile again with --set steps=5' ./$name --data "$data" --steps 5 --out y
done
[[ ! -e y ]] || fail "something was left behind by what was refused"
exit 0
