#!/usr/bin/env bash
# Bad input of any kind gets a message that says what was expected, a status other than 0, and
# leaves nothing behind.
set -uo pipefail
poa=$1
tests=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache GOMP_SPINCOUNT=1000
cd "$work"
failed=0 passed=0

# refuse PATTERN COMMAND..: exit status 1 or 2, the pattern on standard error, no crash.
refuse() {
  local pattern=$1 status
  shift
  "$poa" "$@" >out.log 2>err.log
  status=$?
  if [[ $status != 1 && $status != 2 ]] || ! grep -qE -- "$pattern" err.log; then
    echo "FAILED: poa $*: status $status, expected /$pattern/ in:"
    head -5 err.log
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
}

case=$tests/golden/vit_a.safetensors
micro=$tests/support/micro.poa

refuse "did you mean 'train'" trian tiny
refuse 'did you mean --threads' bench tiny --treads 2
refuse 'takes an integer' bench tiny --threads zero
refuse 'takes an integer' bench tiny --threads 0
refuse 'takes an integer up to' bench tiny --threads 4294967297
refuse 'more than the 4096' bench tiny --threads 5000

# More threads than processors work, and are warned of.
many=$(($(nproc) + 1))
if "$poa" replay tiny "$case" --threads $many >/dev/null 2>err.log &&
  grep -q "warning: $many threads on $(nproc) processor" err.log; then
  passed=$((passed + 1))
else
  echo "FAILED: no warning of $many threads in:"
  head -5 err.log
  failed=$((failed + 1))
fi

refuse 'usage: poa train' train
refuse "no model 'tinny'" info tinny
refuse "did you mean 'min_width'" info tiny --set min_widht=64
refuse 'NAME=VALUE' info tiny --set 5
refuse 'outside the lattice; the points are width=64\.\.192 step 64, depth=3\.\.6' ir tiny --at width=65
refuse 'expected NAME=NUMBER' ir tiny --at breadth=64
refuse "no entry 'stepp'; its entries are: step, features" ir tiny --entry stepp
refuse "no pass 'fusion'" ir tiny --after fusion
echo 'grph @x() {' >x.ir
refuse 'x.ir:1:' opt --passes simplify x.ir
refuse '--data' train "$micro" --out r1
refuse 'cannot' train "$micro" --data nowhere --out r2
refuse 'there is no run' eval nowhere --data nowhere
refuse 'unknown|not know|no CPU' replay tiny "$case" --cpu zen99
refuse 'plugin|missing.so' replay tiny "$case" --plugin ./missing.so

# Recorded steps and weights, damaged in every way that a file can be.
size=$(stat -c %s "$case")
head -c 100 "$case" >short.safetensors
head -c $((size - 1)) "$case" >cut.safetensors
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 "$case"; } >huge.safetensors
printf 'not a tensor file at all' >text.safetensors
header() { printf "\\x$(printf %x ${#1})\\0\\0\\0\\0\\0\\0\\0%s" "$1"; }
header '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}' >length.safetensors
head -c 8 /dev/zero >>length.safetensors
header '{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}' >dtype.safetensors
head -c 4 /dev/zero >>dtype.safetensors
header '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' >overlap.safetensors
head -c 3 /dev/zero >>overlap.safetensors
header '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}' >twice.safetensors
head -c 2 /dev/zero >>twice.safetensors
for damaged in short cut huge text length dtype overlap twice; do
  refuse "$damaged.safetensors" replay tiny "$damaged.safetensors"
done
refuse "no recorded step" replay tiny "$tests/golden/ops/gelu.safetensors"
refuse "lacks the weight|elements" replay tiny "$case" --set max_width=64,head_dim=16

# IDX files cut short.
data=/usr/share/datasets/fashion-mnist
if [[ -d $data ]]; then
  mkdir cut && cp "$data"/*.gz cut && chmod u+w cut/*
  gunzip cut/train-images-idx3-ubyte.gz && truncate -s 1000000 cut/train-images-idx3-ubyte
  refuse 'train-images-idx3-ubyte' train "$micro" --data cut --out r3
fi

# A full disk while a checkpoint is written leaves none of it, and the old one whole.
if [[ -d $data ]]; then
  (ulimit -f 8; trap '' XFSZ; "$poa" train "$micro" --data "$data" --no-cache --out full --quiet >out.log 2>err.log)
  status=$?
  if [[ $status == 0 || -e full/checkpoint.safetensors || -n $(find full -name '*tmp*') ]]; then
    echo "FAILED: a checkpoint on a full disk: status $status, $(ls full)"
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
fi

for run in r1 r2 r3; do
  [[ -e $run ]] && { echo "FAILED: $run was left behind"; failed=$((failed + 1)); }
done
echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
