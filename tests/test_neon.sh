#!/bin/sh
# The NEON kernels, cross-compiled and run by an emulator as CPUs of three strengths, which must give
# the same bits.  It takes two minutes of CPU time, so only when asked for: WEIR_NEON=yes.
. "$srcdir_abs/tests/lib.sh"
[ "${WEIR_NEON:-}" = yes ] || skip_all "only with WEIR_NEON=yes"
cc=${WEIR_AARCH64_CC:-aarch64-linux-gnu-gcc}
qemu=
for name in qemu-aarch64 qemu-aarch64-static; do
    command -v $name >/dev/null 2>&1 && qemu=$name && break
done
[ "$(uname -m)" != aarch64 ] || skip_all "checkkern runs on this machine itself"
command -v "$cc" >/dev/null 2>&1 || skip_all "no $cc"
[ -n "$qemu" ] || skip_all "no qemu-aarch64"

cd "$srcdir_abs" || exit 99
echo '#define WEIR_BUILD_NEON 1' >"$work/config.h"
flags="-std=gnu11 -D_GNU_SOURCE -O2 -ffp-contract=off -fno-math-errno -I$work -I. -Wall -Wextra -Werror"
build() { # build FLAGS SOURCE...
    extra=$1; shift
    for source; do
        # shellcheck disable=SC2086
        "$cc" $flags $extra -c "$source" -o "$work/$(basename "$source" .c).o" 2>>"$work/err" || return 1
    done
}
link() { "$cc" -static "$work"/*.o -o "$work/checkkern" -lpthread -lm 2>>"$work/err"; }
compile() {
    build "" kernels/cpu.c kernels/packed.c kernels/iq_grids.c kernels/scalar/*.c base/dtype.c tests/checkkern.c \
        kernels/neon/init_neon.c kernels/neon/mul_base_neon.c kernels/neon/mul_float_neon.c kernels/neon/vec_neon.c &&
    build -march=armv8.2-a+dotprod kernels/neon/mul_dot_neon.c &&
    build -march=armv8.2-a+dotprod+i8mm kernels/neon/mul_i8mm_neon.c && link
}
check "kernels compile for aarch64" compile
[ $bad -eq 0 ] || finish

# run CPU PART TYPE...: checkkern as that CPU.
run() {
    cpu=$1; part=$work/$1.$2; shift 2
    $qemu -cpu "$cpu" "$work/checkkern" neon "$@" >"$part" 2>"$part.err" || echo "not ok - status $?" >>"$part"
}
# verdict CPU NAME: all its parts passed, with the kernels called NAME.
verdict() {
    cat "$work/$1".[12] >"$work/$1.out"
    cat "$work/$1".[12].err >"$work/$1.err"
    if grep -q '^not ok' "$work/$1.out" || ! grep -q "^ok .*$2 " "$work/$1.out"; then
        not_ok "$2 kernels as $1" "$(grep -v '^ok' "$work/$1.out" | head -20)" "$(head -5 "$work/$1.err")"
    else
        ok "$2 kernels as $1: $(grep -c '^ok' "$work/$1.out") checks"
    fi
}
# One type for each shape of a product (16 or 32 to a scale, with minima or an offset), and a grid.
some="q8_0 q4_k q6_k q2_k iq2_xs"
# One CPU decodes every type; in two parts, because it takes as long as all the rest.
types=$(sed -n 's/^WEIR_DTYPE([^"]*"\([^"]*\)".*/\1/p' base/dtype.def)
# shellcheck disable=SC2086
{
    run max 1 $(echo "$types" | sed -n 'n;p') &
    run max 2 $(echo "$types" | sed -n 'p;n') &
    run cortex-a53 1 $some &
    run neoverse-n1 1 $some &
    wait
}
verdict cortex-a53 neon
verdict neoverse-n1 neon+dotprod
verdict max neon+i8mm
# bits FILE: a line for each quantized type of $some.
bits() { grep '^# bits' "$1" | sort >"$1.bits"; [ -s "$1.bits" ]; }
same_bits() {
    bits "$work/cortex-a53.out" && bits "$work/neoverse-n1.out" && bits "$work/max.out" &&
        cmp "$work/cortex-a53.out.bits" "$work/neoverse-n1.out.bits" >"$work/err" 2>&1 &&
        ! grep -vxFf "$work/max.out.bits" "$work/cortex-a53.out.bits" >"$work/err"
}
check "all three give the same bits" same_bits
# doc/kernels.md states one order of additions for every vector instruction set.
native=$(dirname "$WEIR")/tests/checkkern
# shellcheck disable=SC2086
if [ -x "$native" ] && "$native" avx2 $some >"$work/avx2.out" && bits "$work/avx2.out"; then
    check "the bits of AVX2" cmp "$work/avx2.out.bits" "$work/cortex-a53.out.bits"
else
    skip "the bits of AVX2" "no AVX2 here"
fi
finish
