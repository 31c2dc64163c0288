#!/usr/bin/env bash
# slow: trains a little.
#
# A library gives a C program the features that the compiled program prints: as an object, a shared
# library, assembly, LLVM text, with the weights inside or beside, and for AArch64 (under qemu).
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data
command -v cc >/dev/null || skip "no C compiler"
make_run
example=$tests/../examples/library.c
at=(--at width=8,depth=2)
"$poa" compile run "${at[@]}" -o program >/dev/null
perl -e 'for $i (0 .. 196 * 5 - 1) { print pack("f<", sin($i) * 1.5) }' >images.raw
./program <images.raw | cut -f2 >expected.txt

# near FILE: the same numbers within 1e-5 of the largest.
near() {
  paste -d' ' <(tr ' ' '\n' <expected.txt) <(tr ' ' '\n' <"$1") |
    awk 'NF != 2 {bad = 1} {d = $1 - $2; if (d < 0) d = -d; a = $1 < 0 ? -$1 : $1
         if (d > worst) worst = d; if (a > most) most = a}
         END {exit bad || NR != 40 || worst > 1e-5 * most}' || fail "$1 differs"
}

"$poa" compile run "${at[@]}" --emit object -o net.o >/dev/null
cc "$example" -I. net.o -fopenmp -o with_object
./with_object <images.raw >object.txt && near object.txt

"$poa" compile run "${at[@]}" --emit shared -o libnet.so >/dev/null
if command -v pkg-config >/dev/null; then
  cc "$example" $(PKG_CONFIG_PATH=. pkg-config --cflags --libs net) -Wl,-rpath,"$PWD" -o with_shared
  ./with_shared <images.raw >shared.txt && near shared.txt
fi

# Text: assembly, its weights from the file beside it.
"$poa" compile run "${at[@]}" --emit asm -o net.s >/dev/null
printf '.section .rodata\n.p2align 6\n.globl net_weights\nnet_weights:\n.incbin "net.weights"\n' >weights.s
cc "$example" -I. net.s weights.s -fopenmp -o with_assembly
./with_assembly <images.raw >assembly.txt && near assembly.txt
"$poa" compile run "${at[@]}" --emit llvm -o net.ll >/dev/null
llvm_as=$(command -v llvm-as-19 || command -v llvm-as || true)
[[ -z $llvm_as ]] || "$llvm_as" net.ll -o /dev/null || fail "the LLVM text cannot be read back"

# Another machine's.
"$poa" compile run "${at[@]}" --emit object --target aarch64-linux-gnu -o net.o >/dev/null
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
  aarch64-linux-gnu-gcc -static "$example" -I. net.o -fopenmp -o with_arm
  qemu-aarch64 ./with_arm <images.raw >arm.txt && near arm.txt
else
  echo "no AArch64 run: it takes gcc-aarch64-linux-gnu and qemu-user"
fi

# A step as a library compiles as C.
"$poa" compile "$micro" --entry step --at width=8 --emit object -o step.o >/dev/null
printf '#include "step.h"\nint main(void) { return step_workspace_bytes() == 0; }\n' >step.c
cc step.c -I. step.o -fopenmp -o with_step && ./with_step || fail "the step's library"

refuse 'begin with a letter' "$poa" compile run --emit object -o 9.o
refuse 'goes with --emit object' "$poa" compile run --emit shared --target aarch64-linux-gnu -o x.so
refuse 'several points' "$poa" compile run --emit object --at width=8 --at width=16 -o x.o
refuse 'goes with --emit exe alone' "$poa" compile run --emit object --multiversion -o x.o
ls | grep -q '^[x9]' && fail "something was left behind"
exit 0
