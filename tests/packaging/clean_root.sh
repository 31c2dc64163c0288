#!/usr/bin/env bash
# clean_root.sh PACKAGE.deb [FOLDER]: installs the package into a fresh Debian root and does there what
# a user would: train, extract, compile, run. Needs root, debootstrap and the network.
set -euo pipefail
package=$(realpath "$1")
root=${2:-$(mktemp -d)}
say() { printf 'clean root: %s\n' "$*"; }

mirror=$(awk '$1 == "URIs:" {print $2; exit} $1 == "deb" && $2 ~ /^http/ {print $2; exit}' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)
if [[ ! -e $root/etc/debian_version ]]; then
  say "making one in $root"
  debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
    { tail "$root.log"; exit 1; }
fi
cp -r /etc/apt/. "$root/etc/apt/" # the same mirrors, keys and proxies
if compgen -G "$root/etc/apt/sources.list.d/*" >/dev/null; then : >"$root/etc/apt/sources.list"; fi
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
cp "$package" "$root/tmp/poa.deb"
for folder in /etc/ssl /usr/local/share/ca-certificates; do
  [[ -d $folder ]] && mkdir -p "$root$folder" && cp -rn "$folder/." "$root$folder/" || true
done
mount -t proc proc "$root/proc" 2>/dev/null || true
trap 'umount "$root/proc" 2>/dev/null || true' EXIT

inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
say "installing"
inside apt-get -q update >/dev/null
inside apt-get -q install -y --no-install-recommends /tmp/poa.deb >/dev/null
inside poa version
inside poa info tiny | head -3
say "without a compiler, programs cannot be linked, and poa says so"
said=$(inside poa compile tiny -o /tmp/none 2>&1 || true)
[[ $said == *'no linker'* ]] || { say "no word of the linker: $said"; exit 1; }
say "with gcc and a data set"
inside apt-get -q install -y --no-install-recommends gcc libc6-dev dataset-fashion-mnist >/dev/null
data=/usr/share/datasets/fashion-mnist
inside poa train fashion --data $data --out /tmp/run --steps 4 --quiet \
  --set eval_images=500,max_depth=4 | tail -2
inside poa extract /tmp/run --at width=64,depth=3 -o /tmp/sub.safetensors
inside poa compile /tmp/run --at width=64,depth=3 -o /tmp/sub
inside /tmp/sub $data/t10k-images-idx3-ubyte.gz -o /tmp/features.npy
inside poa compile /tmp/run --at width=64,depth=3 --emit onnx -o /tmp/sub.onnx
inside test -s /tmp/features.npy
say "ok"
