#!/usr/bin/env bash
# slow: compiles and trains a little.
#
# Images as people have them: folders with and without classes, lists, CIFAR; files that are broken are
# named and left out; evaluation says what it lacks; a run over files goes on bit for bit, in `poa
# train` as in a compiled trainer.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"

# A greyish image of its own size and slope: FILE NUMBER WIDTH HEIGHT.
draw() {
  mkdir -p "$(dirname "$1")"
  awk -v n="$2" -v w="$3" -v h="$4" 'BEGIN {
    print "P3", w, h, 255
    for (y = 0; y < h; y++)
      for (x = 0; x < w; x++)
        print (n * 37 + x * (n % 5 + 1) * 3) % 256, (n * 11 + y * 7) % 256, (x * y + n) % 256
  }' >"$1"
}
for i in 1 2 3 4 5; do
  draw "set/train/cat/$i.ppm" $i $((20 + i)) $((31 - 2 * i))
  draw "set/train/dog/deep/$i.ppm" $((i + 7)) $((14 + 5 * i)) 18
  draw "set/test/cat/$i.ppm" $((i + 20)) 16 16
  draw "set/val/dog/$i.ppm" $i 5 5 # not looked at: test has labels
done
draw set/test/dog/1.ppm 8 20 40
train() { "$poa" train "$micro" --seed 3 --steps 4 "$@"; }
same() { cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" || fail "$1 and $2 differ"; }

train --data set --out run >run.log 2>run.err
grep -qx 'data: a folder of images for each class, 10 images, 2 classes' run.log || fail "what was recognized"
[[ ! -s run.err ]] || fail "something to complain of"
grep -q 'intact' run.log || fail "no evaluation after training"
"$poa" eval run --data set --all >eval.log
[[ $(grep -c '^ *[0-9]' eval.log) == 4 ]] || fail "eval --all does not list the 4 sub-networks"

# A list of the same images in the same order is the same run.
(cd set/train && ls cat/*.ppm dog/deep/*.ppm) | sed 's|^|train/|; 1i # all of them' >set/list
train --data set/list --quiet --out listed >listed.log
same run listed
grep -q 'no evaluation: .*has no labels.*train/cat/1.jpg' listed.log || fail "no word of missing labels"
refuse 'has no labels, which evaluation needs.*test/cat/2.jpg' "$poa" eval run --data set/list
refuse 'has no labels' "$poa" eval run --data set/train/cat
refuse 'to evaluate, part them into' "$poa" eval run --data set/train
cp -r set/train alone && mkdir half && mv alone half/train
refuse 'has no images to evaluate on: .*half/test \(or val\)' "$poa" eval run --data half
(cd set && ls train/cat/*.ppm | sed 's/$/ 0/' && ls train/dog/deep/*.ppm | sed 's/$/ 1/') >set/train.txt
sed 's/ 1$/\t1/' set/train.txt >set/val.txt
"$poa" eval run --data set --at width=8,depth=1 | grep -q '^ *8 ' || fail "lists are not evaluated"
rm set/train.txt set/val.txt

# Whatever cannot be read is named, left out and counted.
cp -r set broken
head -c 99 set/train/cat/2.ppm >broken/train/cat/2.ppm
ln -sf nowhere broken/train/dog/deep/3.ppm
echo 'not an image' >broken/test/cat/4.ppm
train --data broken --out rest >rest.log 2>rest.err
for name in train/cat/2.ppm train/dog/deep/3.ppm; do
  grep -q "^left out: broken/$name: " rest.log || fail "$name is not named"
done
grep -q '; 2 image files could not be read$' rest.log || fail "broken files are not counted"
grep -q '^left out: broken/test/cat/4.ppm' rest.err || fail "no word of a broken test image"
"$poa" eval rest --data broken --at width=8,depth=1 --json >rest.json 2>rest.err
[[ $(wc -l <rest.json) == 1 ]] || fail "complaints among the JSON"
mkdir -p bad/a bad/b
echo x >bad/a/1.ppm && echo y >bad/b/1.pgm
refuse 'bad: none of the 2 images that were tried can be read; the first: bad/a/1.ppm' train --data bad --out none
mkdir empty
refuse '5\. images \(.jpg .jpeg .png' train --data empty --out none
[[ ! -e none ]] || fail "a run was left behind"

# CIFAR, coloured; three images a batch file.
mkdir -p cifar/cifar-10-batches-bin
for i in 1 2 3 4 5 6; do
  for label in 1 3 7; do
    printf "\\$label%3072s" $((i * label)) | tr ' ' "$label"
  done >cifar/cifar-10-batches-bin/data_batch_$i.bin
done
mv cifar/cifar-10-batches-bin/{data_batch_6,test_batch}.bin
train --set in_chans=3 --data cifar --out coloured >cifar.log
grep -qx 'data: CIFAR-10, 15 images of 32 x 32, 8 classes' cifar.log || fail "CIFAR-10 is not recognized"
grep -q intact cifar.log || fail "CIFAR-10 has no labels"

# Stopped and resumed over files. Long enough that the signal comes in the middle on any machine.
long=(--data broken --seed 3 --quiet --steps 2000 --every 300)
"$poa" train "$micro" "${long[@]}" --out long >/dev/null 2>&1
"$poa" train "$micro" "${long[@]}" --out stopped >/dev/null 2>&1 &
process=$!
for _ in $(seq 3000); do
  [[ -f stopped/metrics.jsonl && $(wc -l <stopped/metrics.jsonl) -ge 310 ]] && break
  sleep 0.02
done
kill -TERM $process
wait $process && fail "not stopped"
[[ $(wc -l <stopped/metrics.jsonl) -lt 2000 ]] || fail "stopped too late"
"$poa" train "$micro" --data broken --quiet --out stopped --resume >/dev/null 2>&1
same long stopped

# A JPEG of 32 x 24, and a part of it.
mkdir -p photos/{a,b}
base64 -d >photos/a/1.jpg <<END
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVG
ZIhlbXd7gYKBTmCNl4x9lnN+gXz/wAALCAAYACABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAABQb/xAAWEAADAAAAAAAA
AAAAAAAAAAAAAQP/2gAIAQEAAD8AMghCCEIIQgiSghCCEIIQgiTghCCEIIQgj//Z
END
for i in 2 3 4; do cp photos/a/1.jpg photos/a/$i.jpg; draw photos/b/$i.ppm $i 30 30; done
draw photos/b/5.ppm 5 30 30
head -c 170 photos/a/1.jpg >photos/b/cut.jpg
train --data photos --out photographed >photos.log 2>&1 || fail "photographs"
if grep -q 'compiled without --with-images' photos.log; then
  grep -q '; 5 image files could not be read' photos.log || fail "JPEGs without a decoder are not counted"
else
  grep -q '^left out: photos/b/cut.jpg: damaged JPEG' photos.log || fail "half a JPEG is not named"
  grep -q '; 1 image file could not be read' photos.log || fail "half a JPEG is not counted"
fi

# A compiled trainer reads the same.
command -v cc >/dev/null || skip "no C compiler to link with"
"$poa" compile "$micro" --entry step -o trainer >/dev/null
./trainer --data photos --seed 3 --steps 4 --quiet --out trained >trained.log
same photographed trained
"$poa" compile run --at width=8,depth=1 -o program >/dev/null
./program --knn broken >knn.log 2>knn.err
grep -q '^k-NN: .* of 5 images, by 8 training images' knn.log || { cat knn.log; fail "--knn over files"; }
grep -q '^left out: broken/test/cat/4.ppm' knn.err || fail "--knn does not name a broken file"
exit 0
