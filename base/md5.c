/* SPDX-License-Identifier: MIT
 * Owns MD5, plainly. */
#include "config.h"

#include "base/md5.h"

#include <string.h>

/* The whole part of 2^32 times |sin(i + 1)|. */
static const uint32_t round_k[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391
};
static const uint8_t round_shift[4][4] = {
    { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 }
};

static void mix(uint32_t h[4], const uint8_t *p)
{
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int at;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), at = i; break;
        case 1: f = (d & b) | (~d & c), at = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, at = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), at = 7 * i % 16; break;
        }
        const unsigned shift = round_shift[i / 16][i % 4];
        f += a + round_k[i] + w[at];
        a = d, d = c, c = b, b += f << shift | f >> (32 - shift);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

void weir_md5_init(struct weir_md5 *s)
{
    *s = (struct weir_md5){ .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
}

void weir_md5_add(struct weir_md5 *s, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        const size_t at = s->n % 64, part = n < 64 - at ? n : 64 - at;
        if (part == 64) {
            mix(s->h, p);
        } else {
            memcpy(s->block + at, p, part);
            if (at + part == 64)
                mix(s->h, s->block);
        }
        s->n += part;
        p += part;
        n -= part;
    }
}

void weir_md5_end(struct weir_md5 *s, uint8_t ret[WEIR_MD5_BYTES])
{
    static const uint8_t pad[64] = { 0x80 };
    const uint64_t bits = s->n * 8;
    uint8_t tail[8];
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)(bits >> 8 * i);
    weir_md5_add(s, pad, 1 + (119 - s->n % 64) % 64); /* to 8 bytes before the end of a block */
    weir_md5_add(s, tail, 8);
    for (int i = 0; i < 16; i++)
        ret[i] = (uint8_t)(s->h[i / 4] >> 8 * (i % 4));
}
