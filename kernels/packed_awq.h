/* SPDX-License-Identifier: MIT
 *
 * AWQ with one token: the part of packed_cols.h, which includes this in its midst, that multiplies
 * nibbles where they lie, without bringing those of a column together. */
#ifndef WEIR_KERNELS_PACKED_AWQ_H
#define WEIR_KERNELS_PACKED_AWQ_H

/* AWQ with one token walks four lines at a time, because a CPU foresees few streams; the sums of 16
 * lines, in 16 bits, wait in L1.  [lines 0 to 15, 16 to 31][64 columns][words 0 1 4 5 and 2 3 6 7,
 * low nibbles and high ones] */
#define AWQ_COLS 64
#define AWQ_WAIT (4096 / AWQ_COLS)
struct awq_sums {
    __m256i s[2][AWQ_WAIT][4];
};

/* The cache line of column C, times 64, of lines [J, END). */
WEIR_INLINE void awq_fetch(const uint8_t *q, uint64_t line, uint32_t c, int j, int end)
{
    for (; j < end && c % 2 == 0; j++)
        __builtin_prefetch(q + (uint64_t)j * line + c * (AWQ_COLS / 2), 0, 2);
}

/* Lines 4 I to 4 I + 3 of 16, N times 64 columns: nibbles of two lines side by side.  AHEAD: the
 * lines [from, to) to fetch. */
WEIR_INLINE void awq_lines(const uint8_t *q, uint64_t line, int i, uint32_t n, const int *pairs,
                           const uint8_t *ahead, int from, int to, __m256i (*sums)[4])
{
    const __m256i low = _mm256_set1_epi8(15);

    q += (uint64_t)(4 * i) * line;
    for (uint32_t c = 0; c < n; c++, q += AWQ_COLS / 2) {
        __m256i sum[4];
        awq_fetch(ahead, line, c, from, to);
        WEIR_UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = i ? sums[c][j] : _mm256_setzero_si256();
        WEIR_UNROLL
        for (int j = 0; j < 2; j++) {
            const uint8_t *at = q + (uint64_t)(2 * j) * line;
            const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)at);
            const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(at + line));
            const __m256i u = _mm256_unpacklo_epi8(a, b), v = _mm256_unpackhi_epi8(a, b);
            const __m256i xp = _mm256_set1_epi32(pairs[2 * i + j]);
            const __m256i u1 = _mm256_and_si256(_mm256_srli_epi16(u, 4), low);
            const __m256i v1 = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
            sum[0] = _mm256_add_epi16(sum[0], _mm256_maddubs_epi16(_mm256_and_si256(u, low), xp));
            sum[1] = _mm256_add_epi16(sum[1], _mm256_maddubs_epi16(u1, xp));
            sum[2] = _mm256_add_epi16(sum[2], _mm256_maddubs_epi16(_mm256_and_si256(v, low), xp));
            sum[3] = _mm256_add_epi16(sum[3], _mm256_maddubs_epi16(v1, xp));
        }
        WEIR_UNROLL
        for (int j = 0; j < 4; j++)
            sums[c][j] = sum[j];
    }
}

/* 64 columns from C on. */
WEIR_INLINE void awq_add(const struct weir_packed *m, uint64_t g, uint32_t c, const __m256i *s0,
                         const __m256i *s1, const struct col_x *x, float *y)
{
    const __m256i one = _mm256_set1_epi16(1);
    /* columns 0 4 2 6 1 5 3 7 to natural order */
    const __m256i to = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, 2, 3, 10, 11, 6, 7, 14, 15));

    WEIR_UNROLL
    for (int i = 0; i < 4;
         i++) { /* words i and 4 + i; low nibbles are 0 4 1 5, high ones 2 6 3 7 */
        const int j = i & 2;
        __m256i u, v;
        if (i & 1) {
            u = _mm256_unpackhi_epi32(s0[j], s0[j + 1]);
            v = _mm256_unpackhi_epi32(s1[j], s1[j + 1]);
        } else {
            u = _mm256_unpacklo_epi32(s0[j], s0[j + 1]);
            v = _mm256_unpacklo_epi32(s1[j], s1[j + 1]);
        }
        u = _mm256_shuffle_epi8(u, to), v = _mm256_shuffle_epi8(v, to);
        const __m256i a = _mm256_madd_epi16(_mm256_unpacklo_epi16(u, v), one);
        const __m256i b = _mm256_madd_epi16(_mm256_unpackhi_epi16(u, v), one);
        WEIR_UNROLL
        for (int h = 0; h < 2; h++) {
            const __m256i dot =
                h ? _mm256_permute2x128_si256(a, b, 0x31) : _mm256_permute2x128_si256(a, b, 0x20);
            const uint32_t at = 8 * (uint32_t)(i + 4 * h);
            __m256i z;
            __m256 d, min;
            col_head(WEIR_SCHEME_AWQ_GEMM, 4, m, g, c + at, LANES, &d, &z, &min);
            col_add(0, dot, x, d, z, min, y + at, LANES);
        }
    }
}

/* N times 64 columns, up to AWQ_WAIT, of the block at Q.  XQ: its activations. */
static __attribute__((noinline)) void awq_wide(const struct weir_packed *m, const uint8_t *q,
                                               uint64_t g, uint32_t c, uint32_t n,
                                               const struct col_x *x, const int8_t *xq, float *y)
{
    const uint64_t line = m->p->n / 2;
    struct awq_sums sums;
    int pairs[16];

    for (int i = 0; i < 16; i++) {
        uint16_t two;
        memcpy(&two, xq + 2 * i, 2);
        pairs[i] = (int)(two * 0x10001u);
    }
    q += c / 2;
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 4; i++) {
            const int from = 16 + 3 * (4 * h + i);
            awq_lines(q + (uint64_t)(16 * h) * line, line, i, n, pairs + 8 * h, q, from,
                      from + 3 < BLOCK ? from + 3 : BLOCK, sums.s[h]);
        }
    for (uint32_t i = 0; i < n; i++) {
        awq_fetch(q + BLOCK * line, line, i, 0, 16);
        awq_add(m, g, c + AWQ_COLS * i, sums.s[0][i], sums.s[1][i], x, y + AWQ_COLS * i);
    }
}

#endif
