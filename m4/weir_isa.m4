dnl WEIR_ISA: which instruction sets can this COMPILER emit?  Nothing here says
dnl anything about the machine that will run the program; kernels/cpu.c asks
dnl that at start-up.  One flag variable per set, so that AVX code can only
dnl appear in files that were compiled on purpose for it.
AC_DEFUN([WEIR_TRY_ISA], [
  AC_CACHE_CHECK([whether $CC can build $1 kernels], [weir_cv_isa_$1],
    [weir_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $2"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[$3]], [[$4]])],
                       [weir_cv_isa_$1=yes], [weir_cv_isa_$1=no])
     CFLAGS=$weir_save_CFLAGS])
  AS_IF([test "x$weir_cv_isa_$1" = xyes],
    [m4_toupper($1)_CFLAGS="$2"
     weir_isa_found="$weir_isa_found $1"
     AC_DEFINE([WEIR_BUILD_]m4_toupper($1), [1], [Define to 1 if $1 kernels are built.])])
  AC_SUBST(m4_toupper($1)[_CFLAGS])
])
AC_DEFUN([WEIR_ISA], [
  weir_isa_found=
  WEIR_TRY_ISA([avx2], [-mavx2 -mfma -mf16c], [#include <immintrin.h>],
             [__m256 v = _mm256_setzero_ps(); v = _mm256_fmadd_ps(v, v, v); (void)v;])
  WEIR_TRY_ISA([avx512], [-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c],
             [#include <immintrin.h>],
             [__m512i v = _mm512_setzero_si512(); v = _mm512_dpbusd_epi32(v, v, v); (void)v;])
  dnl NEON in three strengths; the build has all or none, the CPU may have any.
  WEIR_TRY_ISA([neon], [-march=armv8.2-a+dotprod+i8mm], [#include <arm_neon.h>],
             [int32x4_t v = vdupq_n_s32(0); v = vmmlaq_s32(v, vdupq_n_s8(1), vdupq_n_s8(1)); (void)v;])
  NEON_I8MM_CFLAGS=$NEON_CFLAGS NEON_DOT_CFLAGS="-march=armv8.2-a+dotprod"
  AC_SUBST([NEON_I8MM_CFLAGS]) AC_SUBST([NEON_DOT_CFLAGS])
  AM_CONDITIONAL([BUILD_NEON],   [test "x$weir_cv_isa_neon" = xyes])
  AM_CONDITIONAL([BUILD_AVX2],   [test "x$weir_cv_isa_avx2" = xyes])
  AM_CONDITIONAL([BUILD_AVX512], [test "x$weir_cv_isa_avx512" = xyes])
])
