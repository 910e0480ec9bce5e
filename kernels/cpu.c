/* SPDX-License-Identifier: MIT
 *
 * Which kernels run on this CPU.  The only file that asks it.
 *
 * A table starts as the scalar one and each instruction set lays its entries over it, so no entry
 * is ever missing.  __builtin_cpu_supports also asks the operating system (XGETBV) whether it saves
 * the wide registers.  The tables are filled once and never change; any thread may ask. */
#include "config.h"
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if WEIR_BUILD_AVX2 || WEIR_BUILD_AVX512
#include <cpuid.h>
#endif
#if WEIR_BUILD_NEON
#include <sys/auxv.h>
#define HWCAP_DOTPROD (1ul << 20) /* AT_HWCAP: asimddp */
#define HWCAP_I8MM    (1ul << 13) /* AT_HWCAP2 */
#endif

const char *const weir_isa_names[WEIR_ISA_COUNT] = { "scalar", "avx2", "avx512", "neon" };
const char *const weir_kv_names[WEIR_KV_COUNT] = { "f16", "f32", "q8", "q4" };

static struct weir_kernels tables[WEIR_ISA_COUNT];
static int have[WEIR_ISA_COUNT];
static const struct weir_kernels *best;

#if WEIR_BUILD_AVX2 || WEIR_BUILD_AVX512
/* Not every compiler knows this one by name. */
static int cpu_has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

#if WEIR_BUILD_AVX2
static int cpu_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
}
#endif

#if WEIR_BUILD_AVX512
static int cpu_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma") && cpu_has_f16c();
}
#endif

static void fill(void)
{
    const char *want = getenv("WEIR_CPU");
    int top = WEIR_ISA_COUNT - 1;

#if WEIR_BUILD_AVX2 || WEIR_BUILD_AVX512
    __builtin_cpu_init();
#endif
    for (int i = 0; i < WEIR_ISA_COUNT; i++)
        weir_kernels_init_scalar(&tables[i]);
    have[WEIR_ISA_SCALAR] = 1;
    /* The functions that lay entries are compiled for their instruction set like all else in their
     * folders, so they too may run only where the CPU has it. */
#if WEIR_BUILD_AVX2
    have[WEIR_ISA_AVX2] = cpu_has_avx2();
    if (have[WEIR_ISA_AVX2])
        weir_kernels_init_avx2(&tables[WEIR_ISA_AVX2]);
#endif
#if WEIR_BUILD_AVX512
    have[WEIR_ISA_AVX512] = cpu_has_avx512();
    if (have[WEIR_ISA_AVX512])
        weir_kernels_init_avx512(&tables[WEIR_ISA_AVX512]);
#endif
#if WEIR_BUILD_NEON
    /* Every CPU of this architecture has NEON itself. */
    const int dotprod = (getauxval(AT_HWCAP) & HWCAP_DOTPROD) != 0;
    weir_kernels_init_neon(&tables[WEIR_ISA_NEON], dotprod,
                           dotprod && (getauxval(AT_HWCAP2) & HWCAP_I8MM));
    have[WEIR_ISA_NEON] = 1;
#endif

    /* WEIR_CPU only lowers the level: a name this CPU or build lacks gives the best below it. */
    for (int i = 0; want && i < WEIR_ISA_COUNT; i++)
        if (!strcmp(want, weir_isa_names[i]))
            top = i;
    while (!have[top])
        top--;
    best = &tables[top];
}

static void fill_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
}

const struct weir_kernels *weir_kernels(void)
{
    fill_once();
    return best;
}

const struct weir_kernels *weir_kernels_get(enum weir_isa isa)
{
    fill_once();
    return (unsigned)isa < WEIR_ISA_COUNT && have[isa] ? &tables[isa] : NULL;
}

int weir_kernels_supports(enum weir_dtype dtype)
{
    fill_once();
    return (unsigned)dtype < WEIR_DTYPE_COUNT && tables[WEIR_ISA_SCALAR].type[dtype].mul != NULL;
}
