/* SPDX-License-Identifier: MIT
 *
 * Owns the kernels of test_emu. */
#include "kernels/cuda/port.h"
#include "tests/cuda_emu.h"
#include "tests/emu_cases.h"

static __global__ void sum_kernel(const float *in, float *out)
{
    WEIR_SHARED(float, part, [EMU_BLOCK / 32]);
    const float v = weir_warp_sum(in[blockIdx.x * EMU_BLOCK + threadIdx.x]);

    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0)
        out[blockIdx.x] = part[0] + part[1] + part[2];
}

static __global__ void shuffle_kernel(const float *in, float *out)
{
    const int lane = (int)threadIdx.x % 32;
    const float v = in[lane];

    out[lane] = __shfl_sync(WEIR_FULL, v, 5);
    out[32 + lane] = __shfl_up_sync(WEIR_FULL, v, 3);
    out[64 + lane] = __shfl_down_sync(WEIR_FULL, v, 7, 16);
    out[96 + lane] = __shfl_xor_sync(WEIR_FULL, v, 9);
}

static __global__ void ended_kernel(void)
{
    if (threadIdx.x == 40)
        return;
    __syncthreads();
}

static __global__ void places_kernel(void)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}

static __global__ void half_warp_kernel(const float *in, float *out)
{
    float v = in[threadIdx.x];
    if (threadIdx.x % 32 < 16)
        v = __shfl_xor_sync(WEIR_FULL, v, 1);
    out[threadIdx.x] = v;
}

static __global__ void unset_kernel(float *out, bool set)
{
    WEIR_SHARED(float, x, [EMU_BLOCK]);
    if (set)
        x[threadIdx.x] = 1;
    out[threadIdx.x] = x[threadIdx.x];
}

static __global__ void overrun_kernel(int n)
{
    WEIR_DYNAMIC_SHARED(float, x);
    x[threadIdx.x] = 0;
    if (threadIdx.x == 0)
        x[n] = 1;
}

static __global__ void race_kernel(float *out)
{
    WEIR_SHARED(float, x, [EMU_BLOCK]);
    x[threadIdx.x] = (float)threadIdx.x;
    out[threadIdx.x] = x[(threadIdx.x + 1) % EMU_BLOCK];
}

static __global__ void large_kernel(float *out)
{
    WEIR_SHARED(float, x, [16 << 10]);
    x[threadIdx.x] = 0;
    out[threadIdx.x] = x[threadIdx.x];
}

static __global__ void nothing_kernel(void) {}

void emu_case(enum emu_case c, unsigned n_block, const float *in, float *out, char *message,
              size_t n)
{
    weir_cuda_emu_begin();
    switch (c) {
    case EMU_SUM: WEIR_LAUNCH(sum_kernel, n_block, EMU_BLOCK, 0, nullptr, in, out); break;
    case EMU_SHUFFLES: WEIR_LAUNCH(shuffle_kernel, n_block, 32, 0, nullptr, in, out); break;
    case EMU_ENDED: WEIR_LAUNCH(ended_kernel, n_block, EMU_BLOCK, 0, nullptr); break;
    case EMU_TWO_PLACES: WEIR_LAUNCH(places_kernel, n_block, EMU_BLOCK, 0, nullptr); break;
    case EMU_HALF_WARP:
        WEIR_LAUNCH(half_warp_kernel, n_block, EMU_BLOCK, 0, nullptr, in, out);
        break;
    case EMU_UNSET:
        WEIR_LAUNCH(unset_kernel, n_block, EMU_BLOCK, 0, nullptr, out, true);
        WEIR_LAUNCH(unset_kernel, n_block, EMU_BLOCK, 0, nullptr, out, false);
        break;
    case EMU_OVERRUN:
        WEIR_LAUNCH(overrun_kernel, n_block, EMU_BLOCK, EMU_BLOCK * sizeof(float), nullptr,
                    EMU_BLOCK);
        break;
    case EMU_RACE: WEIR_LAUNCH(race_kernel, n_block, EMU_BLOCK, 0, nullptr, out); break;
    case EMU_TOO_MUCH: WEIR_LAUNCH(large_kernel, n_block, EMU_BLOCK, 0, nullptr, out); break;
    case EMU_ODD_BLOCK: WEIR_LAUNCH(nothing_kernel, n_block, 48, 0, nullptr); break;
    }
    weir_cuda_emu_end(message, n);
}

/* Four bytes of P that lie STRIDE apart, or two halves. */
static __device__ uint32_t bytes4(const int8_t *p, int stride)
{
    uint32_t r = 0;
    for (int i = 0; i < 4; i++)
        r |= (uint32_t)(uint8_t)p[i * stride] << 8 * i;
    return r;
}

static __device__ uint32_t halves2(const uint16_t *p, int stride) { return p[0] | (uint32_t)p[stride] << 16; }

static __global__ void mma_s8_kernel(const int8_t *a, const int8_t *b, int *d)
{
    const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    const uint32_t fa[4] = { bytes4(a + g * 32 + 4 * t, 1), bytes4(a + (g + 8) * 32 + 4 * t, 1),
                             bytes4(a + g * 32 + 16 + 4 * t, 1),
                             bytes4(a + (g + 8) * 32 + 16 + 4 * t, 1) };
    const uint32_t fb[2] = { bytes4(b + 4 * t * 8 + g, 8), bytes4(b + (16 + 4 * t) * 8 + g, 8) };
    int *to[4] = { d + g * 8 + 2 * t, d + g * 8 + 2 * t + 1, d + (g + 8) * 8 + 2 * t,
                   d + (g + 8) * 8 + 2 * t + 1 };
    int sum[4] = { *to[0], *to[1], *to[2], *to[3] };

    weir_mma_s8_16832(sum, fa, fb);
    for (int i = 0; i < 4; i++)
        *to[i] = sum[i];
}

static __global__ void mma_f16_kernel(const uint16_t *a, const uint16_t *b, float *d)
{
    const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    const uint32_t fa[4] = { halves2(a + g * 16 + 2 * t, 1), halves2(a + (g + 8) * 16 + 2 * t, 1),
                             halves2(a + g * 16 + 8 + 2 * t, 1),
                             halves2(a + (g + 8) * 16 + 8 + 2 * t, 1) };
    const uint32_t fb[2] = { halves2(b + 2 * t * 8 + g, 8), halves2(b + (8 + 2 * t) * 8 + g, 8) };
    float *to[4] = { d + g * 8 + 2 * t, d + g * 8 + 2 * t + 1, d + (g + 8) * 8 + 2 * t,
                     d + (g + 8) * 8 + 2 * t + 1 };
    float sum[4] = { *to[0], *to[1], *to[2], *to[3] };

    weir_mma_f16_16816(sum, fa, fb);
    for (int i = 0; i < 4; i++)
        *to[i] = sum[i];
}

void emu_mma_s8(const int8_t *a, const int8_t *b, int *d)
{
    weir_cuda_emu_begin();
    WEIR_LAUNCH(mma_s8_kernel, 1, 32, 0, nullptr, a, b, d);
    weir_cuda_emu_end(nullptr, 0);
}

void emu_mma_f16(const uint16_t *a, const uint16_t *b, float *d)
{
    weir_cuda_emu_begin();
    WEIR_LAUNCH(mma_f16_kernel, 1, 32, 0, nullptr, a, b, d);
    weir_cuda_emu_end(nullptr, 0);
}
