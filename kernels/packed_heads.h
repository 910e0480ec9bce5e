/* SPDX-License-Identifier: MIT
 *
 * Eight rows of a packed matrix side by side: where they and their scales lie, and the scales and
 * zero points of a group, a row to a lane. */
#ifndef WEIR_KERNELS_PACKED_HEADS_H
#define WEIR_KERNELS_PACKED_HEADS_H

#include "kernels/packed_lanes.h"

/* What is constant in the products of a scheme. */
struct row_kind {
    enum weir_scheme scheme;
    int bits;
    struct form form;
    int flip; /* what every byte is xored with */
    int zero; /* the zero point of all, of bytes as the form has them */
};

/* Eight rows.  Lanes too many repeat the last one. */
struct rows {
    const uint8_t *q[LANES], *scale[LANES], *zero[LANES];
};

WEIR_INLINE void rows_find(const struct row_kind a, const struct weir_packed *m, const uint8_t *q,
                           uint32_t row, uint32_t n, struct rows *ret)
{
    const struct weir_packing *p = m->p;
    const uint64_t size = p->scale_type == WEIR_DTYPE_F32 ? 4 : 2, groups = weir_packed_groups(p);

    for (uint32_t i = 0; i < LANES; i++) {
        const uint64_t at = i < n ? i : n - 1, r = row + at;
        ret->q[i] = q + at * p->line_bytes;
        uint64_t s = r * groups;
        if (a.scheme == WEIR_SCHEME_AWQ_GEMV)
            s = r * p->aux_line;
        else if (a.scheme == WEIR_SCHEME_FP8_E4M3)
            s = r / p->group_n * groups;
        ret->scale[i] = m->aux[WEIR_AUX_SCALE] + s * size;
        if (a.scheme == WEIR_SCHEME_AWQ_GEMV)
            ret->zero[i] = m->aux[WEIR_AUX_ZERO] + r * (p->aux_line / 2);
    }
}

/* Scales and zero points of a few groups at once: of eight, from a multiple of eight on, where
 * scales are 16 bits and there is more than one. */
struct heads {
    uint32_t first, n;
    __m256 d[8];
    __m256i z[8];
};

/* 16 bytes of each row, halves of which there are N, to a vector for each. */
WEIR_INLINE void halves_8(const uint8_t *const *row, uint64_t at, uint32_t n, __m128i *v)
{
    __m128i a[8], b[8];

    for (int i = 0; i < LANES; i++) {
        if (n >= 8) {
            a[i] = _mm_loadu_si128((const __m128i *)(const void *)(row[i] + at));
        } else {
            uint16_t part[8] = { 0 };
            memcpy(part, row[i] + at, n * sizeof *part);
            a[i] = _mm_loadu_si128((const __m128i *)(const void *)part);
        }
    }
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        b[2 * i] = _mm_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
    }
    WEIR_UNROLL
    for (int h = 0; h < 2; h++) { /* rows 4 h .. 4 h + 3 */
        a[4 * h] = _mm_unpacklo_epi32(b[4 * h], b[4 * h + 2]);
        a[4 * h + 1] = _mm_unpackhi_epi32(b[4 * h], b[4 * h + 2]);
        a[4 * h + 2] = _mm_unpacklo_epi32(b[4 * h + 1], b[4 * h + 3]);
        a[4 * h + 3] = _mm_unpackhi_epi32(b[4 * h + 1], b[4 * h + 3]);
    }
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        v[2 * i] = _mm_unpacklo_epi64(a[i], a[4 + i]);
        v[2 * i + 1] = _mm_unpackhi_epi64(a[i], a[4 + i]);
    }
}

static __attribute__((noinline)) void heads_load(const struct row_kind a, enum weir_dtype type,
                                                 const struct rows *r, uint32_t g, uint32_t groups,
                                                 struct heads *h)
{
    if (type == WEIR_DTYPE_F32 || groups == 1) {
        float f[LANES];
        for (int i = 0; i < LANES; i++)
            f[i] = weir_packed_float(type, r->scale[i], g);
        h->first = g, h->n = 1;
        h->d[0] = _mm256_loadu_ps(f);
    } else {
        __m128i v[8];
        h->first = g & ~7u, h->n = 8;
        halves_8(r->scale, 2 * (uint64_t)h->first, groups - h->first, v);
        for (int i = 0; i < 8; i++)
            h->d[i] = type == WEIR_DTYPE_F16
                          ? _mm256_cvtph_ps(v[i])
                          : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v[i]), 16));
    }
    if (a.scheme == WEIR_SCHEME_AWQ_GEMV) {
        int32_t w[LANES];
        for (int i = 0; i < LANES; i++)
            memcpy(&w[i], r->zero[i] + h->first / 8 * 4, 4);
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)w);
        v = _mm256_srli_epi32(v, (int)(h->first % 8 * 4));
        for (int i = 0; i < 8; i++)
            h->z[i] = _mm256_and_si256(_mm256_srli_epi32(v, 4 * i), _mm256_set1_epi32(15));
    } else {
        for (int i = 0; i < 8; i++)
            h->z[i] = _mm256_set1_epi32(a.zero);
    }
}

/* Where element K stands among groups; to be asked for rising K. */
struct place {
    uint32_t g, next; /* the element at which group g ends */
};

WEIR_INLINE struct place place_at(const struct weir_packing *p, uint32_t k)
{
    return (struct place){ k / p->group, k - k % p->group + p->group };
}

/* The head of the group of K. */
WEIR_INLINE void head_at(const struct row_kind a, const struct weir_packing *p,
                         const struct rows *r, uint32_t k, struct place *at, struct heads *h,
                         __m256 *d, __m256i *z)
{
    if (k >= at->next)
        at->g++, at->next += p->group;
    if (at->g - h->first >= h->n)
        heads_load(a, p->scale_type, r, at->g, weir_packed_groups(p), h);
    *d = h->d[at->g - h->first];
    *z = h->z[at->g - h->first];
}

#endif
