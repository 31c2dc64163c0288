#!/usr/bin/env bash
# inference.sh: times a Vision Transformer (ViT-S/16 at 224 x 224) as poa's compiled program, in
# PyTorch and in ONNX Runtime on the same weights, in turn, and puts the table into
# bench/RESULTS.md. PEERS names a Python that has them (bench/peers/README.md).
set -euo pipefail
cd "$(dirname "$0")/.."
poa=${POA:-build/release/poa}
python=${PEERS:-python3}
python=${python%%:*} # the first of them
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Values drawn at random, with LayerScale at 0.5 so that every block counts.
constants=layerscale=0.5,min_width=384,max_width=384,min_depth=12,max_depth=12
model=(vits16 --set "$constants")
"$poa" extract "${model[@]}" -o "$work/weights.safetensors"
"$poa" compile "$work/weights.safetensors" --batch 1,16 -o "$work/program"
"$poa" compile "$work/weights.safetensors" --emit onnx -o "$work/model.onnx"

"$python" - "$work" <<'END'
import numpy, sys
images = numpy.random.default_rng(0).standard_normal([3, 3, 224, 224]).astype(numpy.float32)
numpy.save(sys.argv[1] + "/images.npy", images)
END
"$work/program" "$work/images.npy" -o "$work/ours.npy"
"$python" bench/peers/inference_torch.py "$work/weights.safetensors" 1 1 0 \
  --check "$work/images.npy" "$work/ours.npy" >/dev/null
"$python" bench/peers/onnx_check.py "$work/model.onnx" "$work/program"

ours() { # THREADS BATCH
  "$work/program" --bench --json --threads "$1" | tr '{' '\n' |
    awk -v batch="\"batch\": $2," '$0 ~ batch {match($0, /"median_ms": [0-9.e+]+/)
      print substr($0, RSTART + 13, RLENGTH - 13)}'
}
torch() { "$python" bench/peers/inference_torch.py "$work/weights.safetensors" "$1" "$2" "$seconds" "${@:3}" | awk '{print $1}'; }
onnx() { "$python" bench/peers/inference_onnx.py "$work/model.onnx" "$1" "$2" "$seconds" | awk '{print $1}'; }
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for threads in 1 2; do
  for batch in 1 16; do
    for ((round = 0; round < rounds; round++)); do
      ours $threads $batch >>"$work/ours.$threads.$batch"
      torch $threads $batch >>"$work/torch.$threads.$batch"
      [[ ${COMPILE:-1} == 0 ]] || torch $threads $batch --compile >>"$work/compiled.$threads.$batch" 2>/dev/null || true
      onnx $threads $batch >>"$work/onnx.$threads.$batch"
    done
  done
done

versions=$("$python" -c 'import torch, onnxruntime; print(f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}")')
{
  echo "ViT-S/16, 224 x 224, width 384, depth 12; $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo),"
  echo "$(nproc) cores; $versions. Medians of $rounds rounds in turn, ms for a batch; in brackets how many times"
  echo "longer than poa's program."
  echo
  echo "| threads | batch | poa | PyTorch | torch.compile | ONNX Runtime |"
  echo "|---|---|---|---|---|---|"
  for threads in 1 2; do
    for batch in 1 16; do
      base=$(median <"$work/ours.$threads.$batch")
      row="| $threads | $batch | $(printf '%.1f' "$base") |"
      for peer in torch compiled onnx; do
        if [[ -s $work/$peer.$threads.$batch ]]; then
          value=$(median <"$work/$peer.$threads.$batch")
          row+=" $(awk -v a="$value" -v b="$base" 'BEGIN {printf "%.1f (%.2f)", a, a / b}') |"
        else
          row+=" - |"
        fi
      done
      echo "$row"
    done
  done
} | bench/put_section.sh inference
