#!/usr/bin/env bash
# deployment.sh RUN [POINT..]: every sub-network of a run extracted; some of them as programs, shared
# libraries and ONNX files, compared with the supernet; sizes, what programs depend on, the time to
# the first feature. PEERS names a Python with numpy and onnxruntime (bench/peers/README.md).
set -euo pipefail
run=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
poa=${POA:-build/release/poa}
python=${PEERS:-python3}
python=${python%%:*} # the first of them
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(($#)) || set -- width=64,depth=3 width=64,depth=6 width=96,depth=4 width=128,depth=4 width=128,depth=6

measure() {
"$poa" extract "$run" --all "$work/extracted" >"$work/extracted.log"
echo "$(wc -l <"$work/extracted.log") sub-networks extracted; the largest difference from the supernet is" \
  "$(grep -o 'differ .* by [0-9.e+-]*' "$work/extracted.log" | awk '{print $NF}' | sort -g | tail -1)"
"$poa" compile "$run" --at all -o "$work/all" >/dev/null
for point in "$@"; do
  "$poa" compile "$run" --at "$point" -o "$work/$point" >/dev/null
  "$poa" compile "$run" --at "$point" --emit shared -o "$work/lib${point//[^a-z0-9]/_}.so" >/dev/null
  "$poa" compile "$run" --at "$point" --emit onnx -o "$work/$point.onnx" >/dev/null
done
"$python" bench/peers/deployment_check.py "$work" "$@"

smallest=$1
"$poa" compile "$run" --at "$smallest" --weights-external -o "$work/bare" >/dev/null
strip "$work/bare"
echo "a program without weights, stripped: $(stat -c %s "$work/bare") bytes; with them: $(stat -c %s "$work/$smallest")"
echo "it depends on: $(ldd "$work/$smallest" | awk '{print $1}' | sed 's|.*/||' | tr '\n' ' ')"
"$python" - "$work" "$smallest" <<'END'
import os, statistics, subprocess, sys, time
import numpy
folder, point = sys.argv[1:]
image = numpy.load(f"{folder}/images.npy")[:1].tobytes()
times = []
for _ in range(200):
    start = time.perf_counter()
    process = subprocess.Popen([f"{folder}/{point}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(image)
    process.stdin.close()
    assert process.stdout.read(10)
    times.append(1e3 * (time.perf_counter() - start))
    process.wait()
print(f"from start to the first feature, 200 times: median {statistics.median(times):.1f} ms, largest {max(times):.1f} ms")
END
}

{
  echo '```'
  measure "$@"
  echo '```'
} | bench/put_section.sh deployment
