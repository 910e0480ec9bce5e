#!/bin/sh
# The NEON kernels, cross-compiled and run by an emulator as CPUs of three strengths.  It takes a
# minute and a half, so only when asked for: WEIR_NEON=yes.
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
    build "" kernels/cpu.c kernels/iq_grids.c kernels/scalar/*.c base/dtype.c tests/checkkern.c \
        kernels/neon/init_neon.c kernels/neon/mul_base_neon.c kernels/neon/mul_float_neon.c kernels/neon/vec_neon.c &&
    build -march=armv8.2-a+dotprod kernels/neon/mul_dot_neon.c &&
    build -march=armv8.2-a+dotprod+i8mm kernels/neon/mul_i8mm_neon.c && link
}
check "kernels compile for aarch64" compile
[ $bad -eq 0 ] || finish

# run CPU NAME [TYPE...]: checkkern as that CPU, which must choose the kernels called NAME.
run() {
    cpu=$1; name=$2; shift 2
    $qemu -cpu "$cpu" "$work/checkkern" neon "$@" >"$work/$cpu.out" 2>"$work/$cpu.err" ||
        echo "not ok - status $?" >>"$work/$cpu.out"
}
verdict() {
    if grep -q '^not ok' "$work/$1.out" || ! grep -q "^ok .*$2 " "$work/$1.out"; then
        not_ok "$2 kernels as $1" "$(grep -v '^ok' "$work/$1.out" | head -20)" "$(head -5 "$work/$1.err")"
    else
        ok "$2 kernels as $1: $(grep -c '^ok' "$work/$1.out") checks"
    fi
}
some="f16 q4_0 q8_0 q4_k q6_k iq2_xs mxfp4"
# shellcheck disable=SC2086
{
    run cortex-a53 neon $some &
    run neoverse-n1 neon+dotprod $some &
    run max neon+i8mm
    wait
}
verdict cortex-a53 neon
verdict neoverse-n1 neon+dotprod
verdict max neon+i8mm
finish
