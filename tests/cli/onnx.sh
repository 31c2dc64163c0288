#!/usr/bin/env bash
# slow: trains a little.
#
# The ONNX file of a sub-network gives the same features in an independent runtime, at any batch size.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data
command -v cc >/dev/null || skip "no C compiler to link with"
make_run
if ! "$poa" compile run --at width=8,depth=1 --emit onnx -o sub.onnx >/dev/null 2>err.log; then
  grep -q 'built without ONNX' err.log && skip "$(cat err.log)"
  fail "$(cat err.log)"
fi
grep -qa 'blocks.0.norm1.weight' sub.onnx || fail "the weights have no names"
grep -qa 'batch' sub.onnx || fail "the batch is not dynamic"
refuse 'several points' "$poa" compile run --at width=8 --at width=16 --emit onnx -o x.onnx
[[ -e x.onnx ]] && fail "something was left behind"

python=${POA_ONNX_PYTHON:-python3}
"$python" -c 'import onnx, onnxruntime' 2>/dev/null ||
  skip "no Python with onnx and onnxruntime (name one in POA_ONNX_PYTHON); the file was only written"
for point in width=8,depth=1 width=16,depth=2; do
  "$poa" compile run --at $point --emit onnx -o $point.onnx >/dev/null
  "$poa" compile run --at $point -o $point >/dev/null
  "$python" "$tests/../bench/peers/onnx_check.py" $point.onnx ./$point || fail "$point"
done
