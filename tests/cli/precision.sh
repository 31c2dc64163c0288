#!/usr/bin/env bash
# slow: trains a little.
#
# --precision: bf16 gives other bits than fp32 and the same on any number of threads, a resumed run
# keeps it, a trainer made ahead of time computes the same, kernels of the two are told apart on
# disk, and a CPU without the instruction is told of and computes in fp32.
set -euo pipefail
poa=$(realpath "$1")
source "$(dirname "$(realpath "$0")")/common.bash"
need_data

wide=head_dim=16,min_width=32,max_width=64,batch_size=8,head_hidden=32,head_bottleneck=16
train() { "$poa" train "$micro" --data "$data" --seed 7 --steps 6 --quiet --set "$wide" "$@"; }
bits() { cmp -s "$1/checkpoint.safetensors" "$2/checkpoint.safetensors"; }

# Of words that are no precision, and what text says of it on any machine.
refuse "expected fp32 or bf16" "$poa" bench "$micro" --precision fp16
at=(--set "$wide" --at width=64,depth=2)
"$poa" ir "$micro" "${at[@]}" --precision bf16 --after lower_precision >bf16.ir
grep -q 'bf16=1' bf16.ir || fail "no product is marked"
"$poa" ir "$micro" "${at[@]}" --precision fp32 --after schedule >fp32.ir
grep -q 'bf16=1' fp32.ir && fail "a product is marked without being asked for"

# A level of x86-64 that has no bf16; a machine that is below it says so of itself.
train --out fp32 --cpu x86-64-v3 >/dev/null 2>&1 || skip "this machine is no x86-64-v3"
train --out instead --cpu x86-64-v3 --precision bf16 >/dev/null 2>warned.log
grep -q "warning: .*AVX512_BF16.*computed in fp32" warned.log || fail "no word of what is used instead"
# The name of the precision is recorded: that which was used.
bits fp32 instead || fail "fp32 used instead is not fp32"
"$poa" info "$micro" --set "$wide" --precision bf16 >/dev/null

grep -q avx512_bf16 /proc/cpuinfo || skip "this CPU has no AVX512_BF16"
rm -rf fp32
train --out fp32 >/dev/null
train --out bf16 --precision bf16 >/dev/null 2>silent.log
grep -q precision silent.log && fail "a warning where the CPU has bf16"
bits fp32 bf16 && fail "bf16 is fp32"
for threads in 1 3; do
  train --out "threads$threads" --precision bf16 --threads "$threads" >/dev/null
  bits bf16 "threads$threads" || fail "bits on $threads threads"
done

# Stopped after a checkpoint and resumed: in bf16 without being told.
train --out stopped --precision bf16 --every 2 --steps 400 >/dev/null &
process=$!
for _ in $(seq 3000); do
  [[ -f stopped/metrics.jsonl && $(wc -l <stopped/metrics.jsonl) -ge 10 ]] && break
  sleep 0.02
done
kill -TERM "$process"
wait "$process" && fail "the run was over before it was stopped"
again=("$poa" train "$micro" --data "$data" --resume --quiet --out stopped)
refuse "started with --precision bf16" "${again[@]}" --precision fp32
refuse "products in bf16 and can only go on" "${again[@]}" --cpu x86-64-v3
"${again[@]}" >/dev/null
train --out whole --precision bf16 --every 2 --steps 400 >/dev/null
bits whole stopped || fail "a resumed run in bf16 ends otherwise"

bench() { "$poa" bench "$micro" --set "$wide" --steps 1 --at width=64,depth=2 --cache kernels "$@"; }
compiled() { grep -m1 -o '"kernels_compiled": [0-9]*' | grep -o '[0-9]*$'; }
bench --json >fp32.json
[[ $(compiled <fp32.json) -gt 0 ]] || fail "nothing compiled"
bench --json --precision bf16 >bf16.json
grep -q '"precision": "bf16"' bf16.json || fail "the JSON does not say bf16"
[[ $(compiled <bf16.json) -gt 0 ]] || fail "kernels of fp32 served bf16"
bench --json --precision bf16 >again.json
[[ $(compiled <again.json) == 0 ]] || fail "kernels of bf16 are not kept"
bench --precision bf16 >bf16.txt
grep -q 'gemm .*bf16' bf16.txt || fail "no product is shown as bf16"

# Ahead of time: the same bits as `poa train`.
refuse "add --entry step" "$poa" compile "$micro" --precision bf16 -o none
command -v cc >/dev/null || skip "no C compiler to link with"
"$poa" compile "$micro" --set "$wide,steps=6" --entry step --precision bf16 -o trainer >/dev/null
./trainer --info | grep -q '^products: in bf16$' || fail "the trainer does not say bf16"
./trainer --data "$data" --seed 7 --quiet --out ahead >/dev/null
bits bf16 ahead || fail "a trainer in bf16 ends otherwise"
./trainer --data "$data" --quiet --out bf16 --resume >/dev/null || fail "the trainer resumes no run of bf16"
refuse "compile again with --precision fp32" ./trainer --data "$data" --quiet --out fp32 --resume
echo "1 passed, 0 failed"
