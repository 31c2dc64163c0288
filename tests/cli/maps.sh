#!/usr/bin/env bash
# Networks over maps, with windows and with convolutions: every sub-network of a small Swin and a small
# ResNet is the elastic network at its point, and leaves as program and as ONNX file.
set -euo pipefail
poa=$(realpath "$1")
source "$(dirname "$0")/common.bash"

heads=prototypes=[8],head_hidden=8,head_bottleneck=4,in_chans=1,batch_size=2,n_local=0
swin=$heads,img_size=20,patch_size=2,window=3,head_dim=4,min_width=4,max_width=8,min_depth=1
swin+=,max_depths=[1,2,2,1]
resnet=$heads,img_size=20,stem=4,base=4,groups=2,min_depths=[1,1,1,1],max_depths=[1,2,1,1]

"$poa" extract swin_small --check --set "$swin" >swin.log
grep -q '^4 sub-networks' swin.log || fail "swin: $(tail -1 swin.log)"
"$poa" extract resnet_small --check --set "$resnet" >resnet.log
grep -q '^6 sub-networks' resnet.log || fail "resnet: $(tail -1 resnet.log)"

"$poa" extract resnet_small --set "$resnet" --at width_index=1,depth2=1 -o plain.safetensors >/dev/null
"$poa" compile plain.safetensors -o plain >/dev/null
"$poa" compile plain.safetensors --emit onnx -o plain.onnx >/dev/null
"$poa" compile swin_small --set "$swin" --at width=4,depth=1 --emit onnx -o swin.onnx >/dev/null
[[ -s plain.onnx && -s swin.onnx ]] || fail "no ONNX files"
printf 'P5 20 20 255\n%400s' '' >grey.pgm
./plain grey.pgm -o features.npy || fail "the program does not run"
exit 0
