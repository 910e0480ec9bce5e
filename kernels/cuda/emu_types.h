/* SPDX-License-Identifier: MIT
 *
 * CUDA on the host, for tests: vector types and what a thread computes by itself.  Included by
 * kernels/cuda/emu.h only. */
#ifndef WEIR_KERNELS_CUDA_EMU_TYPES_H
#define WEIR_KERNELS_CUDA_EMU_TYPES_H

#define WEIR_EMU_VEC2(name, elem)                                                                  \
    struct __align__(2 * sizeof(elem)) name { elem x, y; };                                        \
    static inline name make_##name(elem x, elem y) { return { x, y }; }
#define WEIR_EMU_VEC4(name, elem)                                                                  \
    struct __align__(4 * sizeof(elem)) name { elem x, y, z, w; };                                  \
    static inline name make_##name(elem x, elem y, elem z, elem w) { return { x, y, z, w }; }
WEIR_EMU_VEC2(float2, float)
WEIR_EMU_VEC2(int2, int)
WEIR_EMU_VEC2(uint2, unsigned)
WEIR_EMU_VEC2(short2, short)
WEIR_EMU_VEC2(ushort2, unsigned short)
WEIR_EMU_VEC4(float4, float)
WEIR_EMU_VEC4(int4, int)
WEIR_EMU_VEC4(uint4, unsigned)
WEIR_EMU_VEC4(char4, signed char)
WEIR_EMU_VEC4(uchar4, unsigned char)
WEIR_EMU_VEC4(short4, short)
WEIR_EMU_VEC4(ushort4, unsigned short)

/* ---- memory ---- */

template <class T> static inline T __ldg(const T *p)
{
    if ((uintptr_t)p % alignof(T))
        weir_emu_fail("__ldg of %zu bytes at an address that is %zu past a multiple of %zu",
                      sizeof(T), (size_t)((uintptr_t)p % alignof(T)), alignof(T));
    return *p;
}
static inline uint4 weir_load16(const void *p) { return __ldg(static_cast<const uint4 *>(p)); }

template <class T> static inline T weir_emu_swap(T *p, T v)
{
    const T old = *p;
    *p = v;
    return old;
}
template <class T> static inline T atomicAdd(T *p, T v) { return weir_emu_swap(p, (T)(*p + v)); }
template <class T> static inline T atomicMax(T *p, T v)
{
    return weir_emu_swap(p, *p > v ? *p : v);
}
template <class T> static inline T atomicMin(T *p, T v)
{
    return weir_emu_swap(p, *p < v ? *p : v);
}
template <class T> static inline T atomicOr(T *p, T v) { return weir_emu_swap(p, (T)(*p | v)); }
template <class T> static inline T atomicExch(T *p, T v) { return weir_emu_swap(p, v); }
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}

/* ---- bits ---- */

template <class To, class From> static inline To weir_emu_bits(From v)
{
    static_assert(sizeof(To) == sizeof(From), "bits stay what they are");
    To r;
    memcpy(&r, &v, sizeof r);
    return r;
}
static inline unsigned __float_as_uint(float v) { return weir_emu_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return weir_emu_bits<int>(v); }
static inline float __uint_as_float(unsigned v) { return weir_emu_bits<float>(v); }
static inline float __int_as_float(int v) { return weir_emu_bits<float>(v); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned __brev(unsigned v)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (v >> i & 1) << (31 - i);
    return r;
}

/* Four bytes picked out of the eight of (hi, lo) by the nibbles of S; the high bit of a nibble
 * spreads the sign. */
static inline unsigned __byte_perm(unsigned lo, unsigned hi, unsigned s)
{
    const uint64_t all = (uint64_t)hi << 32 | lo;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned pick = s >> 4 * i & 15;
        unsigned b = (unsigned)(all >> 8 * (pick & 7)) & 0xff;
        if (pick & 8)
            b = b & 0x80 ? 0xff : 0;
        r |= b << 8 * i;
    }
    return r;
}

static inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned by)
{
    return (unsigned)(((uint64_t)hi << 32 | lo) >> (by & 31));
}
static inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned by)
{
    return (unsigned)((((uint64_t)hi << 32 | lo) << (by & 31)) >> 32);
}

/* ---- four bytes at a time ---- */

template <class F> static inline unsigned weir_emu_bytes(unsigned a, unsigned b, F f)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i += 8)
        r |= ((unsigned)f((int)(a >> i & 0xff), (int)(b >> i & 0xff)) & 0xff) << i;
    return r;
}
static inline unsigned __vadd4(unsigned a, unsigned b)
{
    return weir_emu_bytes(a, b, [](int x, int y) { return x + y; });
}
static inline unsigned __vsub4(unsigned a, unsigned b)
{
    return weir_emu_bytes(a, b, [](int x, int y) { return x - y; });
}
static inline unsigned __vcmpeq4(unsigned a, unsigned b)
{
    return weir_emu_bytes(a, b, [](int x, int y) { return x == y ? 0xff : 0; });
}
static inline unsigned __vcmpne4(unsigned a, unsigned b)
{
    return weir_emu_bytes(a, b, [](int x, int y) { return x != y ? 0xff : 0; });
}

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 32; i += 8)
        c += (int8_t)(a >> i) * (int8_t)(b >> i);
    return c;
}
static inline unsigned __dp4a(unsigned a, unsigned b, unsigned c)
{
    for (int i = 0; i < 32; i += 8)
        c += (uint8_t)(a >> i) * (unsigned)(uint8_t)(b >> i);
    return c;
}

/* ---- floats ---- */

static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
#define __expf expf /* a name that the C library has too */
static inline float __fdividef(float a, float b) { return a / b; }
static inline float rsqrtf(float v) { return 1 / sqrtf(v); }
static inline int __float2int_rn(float v) { return (int)rintf(v); }
static inline int __float2int_rz(float v) { return (int)v; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }

extern "C" float weir_f16_to_f32(uint16_t h);
extern "C" uint16_t weir_f32_to_f16(float f);
static inline float weir_half_to_float(uint16_t h) { return weir_f16_to_f32(h); }
static inline uint16_t weir_round_half(float f) { return weir_f32_to_f16(f); }
static inline float2 weir_half2_to_float2(uint32_t h)
{
    return { weir_half_to_float((uint16_t)h), weir_half_to_float((uint16_t)(h >> 16)) };
}

#endif
