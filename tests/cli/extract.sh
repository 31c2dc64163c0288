#!/usr/bin/env bash
# slow: trains a little.
#
# Every point of a run's lattice leaves it as a plain model that proves itself; what cannot be
# extracted is refused and leaves nothing behind; a plain model starts a supernet.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data
make_run

"$poa" extract run --at width=8,depth=1 -o sub.safetensors >sub.log
grep -q 'differ from the elastic network' sub.log || fail "no proof"
"$poa" extract run --all all | tee all.log | grep -c 'differ' | grep -qx 4 || fail "not all four points"
cmp sub.safetensors "all/width=8,depth=1.safetensors" || fail "the same point, twice, differs"
mkdir temporary
TMPDIR=$PWD/temporary "$poa" extract run --check >check.log
grep -qx '4 sub-networks, .* kernels compiled, .* from disk' check.log || fail "--check: $(tail -1 check.log)"
[[ -z $(ls temporary) ]] || fail "--check left something"
refuse 'leave out --at' "$poa" extract run --check --at width=8
"$poa" extract run --from student --at width=8 -o student.safetensors >/dev/null
cmp -s student.safetensors "all/width=8,depth=2.safetensors" && fail "student and teacher are the same"
for key in '"model":' '"point":"width=8,depth=1"' '"source":"run teacher, step 4"' '"normalization":"0.28'; do
  head -c 4000 sub.safetensors | grep -qa "$key" || fail "the metadata lacks $key"
done
head -c 8000 "all/width=16,depth=2.safetensors" | grep -qa 'blocks.1.attn.qkv.weight' || fail "names"

refuse 'outside the lattice' "$poa" extract run --at width=9 -o x.safetensors
refuse 'say where to' "$poa" extract run --at width=8
refuse 'leave out --at' "$poa" extract run --at width=8 --all x
refuse 'no folder' "$poa" extract run --at width=8 -o missing/x.safetensors
refuse 'is no run' "$poa" extract all --at width=8 -o x.safetensors
refuse 'is extracted already' "$poa" extract sub.safetensors -o x.safetensors
refuse 'a file holds one point' "$poa" extract run --at width=8 --at width=16 -o x.safetensors
refuse "no entry 'features'; its entries are: step" "$poa" extract "$tests/../examples/linear.poa" -o x.safetensors
refuse "lacks 'nobody\\." "$poa" extract run --from nobody --at width=8 -o x.safetensors
refuse 'plain network at width=8,depth=1' "$poa" compile sub.safetensors --at width=16 -o x
refuse 'plain network at width=8,depth=1' "$poa" compile sub.safetensors --at width=16 --at width=8,depth=1 -o x
for set in student teacher; do
  refuse "--from $set: 'sub.safetensors' is a plain network with one set.*run teacher, step 4; leave out --from" \
    "$poa" compile sub.safetensors --from $set -o x
done
mkdir damaged
head -c 5000 run/checkpoint.safetensors >damaged/checkpoint.safetensors
refuse 'truncated' "$poa" extract damaged --at width=8 -o x.safetensors
refuse 'does not fit the model.*expected' "$poa" extract "$micro" --set head_dim=4,min_width=4,max_width=12 \
  --weights run --at width=4 -o x.safetensors
ls | grep -q '^x' && fail "something was left behind"

# A plain model of the largest size starts a supernet's.
start() { "$poa" train "$micro" --data "$data" --seed 3 --steps 1 --quiet "$@"; }
start --init "all/width=16,depth=2.safetensors" --set base_lr=1e-30,final_lr=0 --out again >again.log
grep -qE '[0-9]+ parameters taken, [0-9]+ of the model keep' again.log || fail "--init says nothing"
"$poa" extract again --from student --at width=16 -o again.safetensors >/dev/null
tail -c 3000 again.safetensors >a
tail -c 3000 "all/width=16,depth=2.safetensors" >b
cmp a b || fail "--init did not take the weights"
refuse "is \\[.*and in the largest network" start --init sub.safetensors --out y
refuse 'none of the model' start --init "$tests/golden/ops/gelu.safetensors" --out y
refuse 'leave out --init' "$poa" train "$micro" --data "$data" --out again --resume --init sub.safetensors
[[ -e y ]] && fail "a run was begun"
exit 0
