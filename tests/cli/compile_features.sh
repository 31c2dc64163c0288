#!/usr/bin/env bash
# slow: trains a little.
#
# A compiled program computes the features that the supernet does, from every kind of input, to
# every kind of output; depends on nothing but libc, libm and OpenMP; chooses its size; and
# tells of what is wrong with what it is given.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data
command -v cc >/dev/null || skip "no C compiler to link with"
make_run
images=$data/t10k-images-idx3-ubyte.gz

"$poa" compile run --at all --batch 1,5 -o all >/dev/null
"$poa" compile run --at width=8,depth=1 -o sub >/dev/null
"$poa" compile run --at width=8,depth=1 --weights-external -o outside >/dev/null
"$poa" extract run --at width=8,depth=1 -o sub.safetensors >/dev/null
"$poa" compile sub.safetensors -o from_file >/dev/null

# The same features whichever way the program was made.
{ gzip -dc "$images" || true; } 2>/dev/null | head -c $((16 + 7 * 784)) >seven
printf '\0\0\10\3\0\0\0\7\0\0\0\34\0\0\0\34' | dd of=seven conv=notrunc status=none
./sub seven -o sub.npy
[[ $(wc -c <sub.npy) == $((128 + 7 * 8 * 4)) ]] || fail "seven features of 8 are another size"
./from_file seven -o file.npy && cmp sub.npy file.npy || fail "extracted and compiled differ"
./outside seven -o outside.npy && cmp sub.npy outside.npy || fail "weights outside differ"
./sub seven --threads 1 -o one.npy && cmp sub.npy one.npy || fail "the number of threads matters"
./all --at width=8,depth=1 seven --format text >all.txt
./sub seven >sub.txt
paste <(cut -f2 all.txt | tr ' ' '\n') <(cut -f2 sub.txt | tr ' ' '\n') |
  awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5) exit 1}' || fail "several points in one differ"
./sub seven -o sub.safetensors.out --format safetensors && head -c 200 sub.safetensors.out | grep -qa features ||
  fail "no safetensors"

# What a killed process may have left in shared memory under our number does no harm.
sh -c ': >"/dev/shm/__KMP_REGISTERED_LIB_$$_$(id -u)"; exec ./sub seven -o stale.npy' &&
  cmp sub.npy stale.npy || fail "a remnant of OpenMP's registration"

# PGM and raw floats.
{ printf 'P5\n# one image\n28 28 255\n'; head -c $((16 + 784)) seven | tail -c 784; } >one.pgm
./sub one.pgm | cut -f2 >pgm.txt
cut -f2 sub.txt | head -1 | cmp - pgm.txt || fail "the same image as PGM differs"
head -c $((784 * 4 / 4)) /dev/zero >raw # micro's images are 14 x 14: 196 floats
./sub <raw | wc -l | grep -qx 1 || fail "raw floats on standard input"
refuse 'ends within an image' sh -c 'head -c 100 /dev/zero | ./sub'

# Choosing.
./all --max-gflops 1 --info | grep -q 'width=16,depth=2' || fail "--info"
refuse 'the smallest network compiled in takes' ./all --max-gflops 1e-9 seven
refuse 'is not compiled in; these are' ./sub --at width=16 seven
refuse 'the points are' ./all --at width=9 seven
refuse 'give one of them' ./all --at width=8,depth=1 --max-ms 5 seven
./all --max-ms 1000 seven | awk -F'[\t ]' 'END {if (NF != 17) exit 1}' || fail "--max-ms 1000 takes the largest"

# What cannot be decoded is named, the rest goes on.
printf 'P5 28 28 255\nshort' >short.pgm
printf '\211PNG\r\n\032\n' >a.png
: >empty
mkdir folder
./sub one.pgm short.pgm a.png empty folder missing one.pgm >some.txt 2>some.err && fail "status 0 with undecodable files"
[[ $(wc -l <some.txt) == 2 ]] || fail "the rest did not go on"
for name in short.pgm a.png empty folder missing; do grep -q "^$name: " some.err || fail "$name is not named"; done
grep -q 'compiled without --with-images' some.err || fail "no word of --with-images"
cp one.pgm $'two\nlines.pgm'
[[ $(./sub $'two\nlines.pgm' one.pgm | cut -f1 | tr '\n' ' ') == "two?lines.pgm one.pgm " ]] ||
  fail "a name of two lines"
if "$poa" compile run --at width=8,depth=1 --with-images -o pictures >/dev/null 2>pictures.err; then
  ./pictures seven -o pictures.npy && cmp sub.npy pictures.npy || fail "--with-images differs"
  refuse 'a.png: damaged PNG' ./pictures a.png
else
  grep -q 'with-images' pictures.err || fail "--with-images"
fi
refuse 'no-such' ./sub seven -o no-such/x.npy
refuse 'text, npy or safetensors' ./sub seven --format csv
refuse 'does not know the flag' ./sub --treads 2
refuse 'does not know the flag -x' ./sub -xy

# Weights beside the program: missing, and another's.
mkdir alone && cp outside alone
refuse 'outside.safetensors' ./alone/outside seven
refuse 'cannot open|no file' ./outside --weights missing.safetensors seven
refuse 'lacks|does not|has' ./outside --weights run/checkpoint.safetensors seven

# A network without parameters needs none.
cat >mean.poa <<'END'
const batch = 2
entry features(images[batch, 1, 4, 4]) {
  return mean(mean(images, axis=1), axis=1)
}
END
"$poa" compile mean.poa -o mean >/dev/null
[[ $(head -c 128 /dev/zero | ./mean | cut -f2 | tr '\n' ' ') == "0 0 0 0 0 0 0 0 " ]] || fail "mean"

# What it is made of.
if ldd ./sub >/dev/null 2>&1; then
  ldd ./sub | awk '{print $1}' | grep -vE 'linux-vdso|libc\.so|libm\.so|lib(omp|gomp)|ld-linux|libasan|libubsan|libgcc_s|libstdc' &&
    fail "it depends on more"
fi
./sub --help | grep -q 'max-ms' || fail "--help"
./sub --info | grep -q 'normalization (mean/deviation): 0.28' || fail "normalization is unknown"
./sub --bench --json --threads 1 | grep -q '"images_per_s"' || fail "--bench --json"
./sub --knn "$data" --limit 300 | grep -q '^k-NN' || fail "--knn"

# Code for two kinds of CPU.
"$poa" compile run --at width=8,depth=1 --multiversion -o both >/dev/null
./both --info | grep -q 'x86-64-v3' || fail "--multiversion"
./both seven -o both.npy
if command -v qemu-x86_64 >/dev/null && ! ldd ./sub 2>/dev/null | grep -q asan; then
  "$poa" compile run --at width=8,depth=1 --cpu x86-64-v4 -o v4 >/dev/null
  refuse 'this CPU lacks:.*avx512f' qemu-x86_64 -cpu max,-avx512f ./v4 --info
fi

# Interrupted, it leaves nothing in the folder for temporary files nor at the output.
mkdir temporary
TMPDIR=$PWD/temporary "$poa" compile vits16 --entry step -o interrupted >/dev/null 2>&1 &
sleep 0.7
kill -TERM $! # a background job ignores SIGINT
wait $! && fail "it was not interrupted"
[[ -z $(ls -A temporary) ]] || fail "an interruption leaves $(ls -A temporary)"
ls | grep -q '^interrupted' && fail "an interruption leaves an output"

# Bad input of the command.
refuse 'unknown CPU' "$poa" compile run --cpu znver9 -o x
refuse 'is no feature' "$poa" compile run --cpu x86-64-v3,+avx1024 -o x
refuse 'expected exe, shared' "$poa" compile run --emit binary -o x
refuse 'no linker' env PATH=/nonexistent "$poa" compile run -o x
refuse 'cannot be run' env CC=/nonexistent/cc "$poa" compile run -o x
refuse "the linker .* failed" env CC=false "$poa" compile run -o x
refuse 'no folder' "$poa" compile run -o missing/x
refuse '--batch' "$poa" compile run --batch 0 -o x
refuse 'aarch64-linux-gnu' "$poa" compile run --emit object --target m68k-linux-gnu -o x.o
ls | grep -q '^x' && fail "something was left behind"
exit 0
