/* SPDX-License-Identifier: MIT
 * Owns SHA-256, plainly: a check after a download, not a hot loop. */
#include "config.h"

#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

/* Fractions of the cube roots of the first 64 primes, and of the square roots of the first 8. */
static const uint32_t round_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};
static const uint32_t first_h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static uint32_t ror(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

static void mix(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], x = h[7];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        const uint32_t u = w[i - 15], v = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (ror(u, 7) ^ ror(u, 18) ^ u >> 3) +
               (ror(v, 17) ^ ror(v, 19) ^ v >> 10);
    }
    for (int i = 0; i < 64; i++) {
        const uint32_t t =
            x + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + round_k[i] + w[i];
        const uint32_t u = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        x = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
    }
    const uint32_t add[8] = { a, b, c, d, e, f, g, x };
    for (int i = 0; i < 8; i++)
        h[i] += add[i];
}

void weir_sha256_init(struct weir_sha256 *s)
{
    memcpy(s->h, first_h, sizeof(s->h));
    s->n = 0;
}

void weir_sha256_add(struct weir_sha256 *s, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        const size_t at = s->n % 64, take = n < 64 - at ? n : 64 - at;
        if (take == 64) {
            mix(s->h, p);
        } else {
            memcpy(s->block + at, p, take);
            if (at + take == 64)
                mix(s->h, s->block);
        }
        s->n += take;
        p += take;
        n -= take;
    }
}

void weir_sha256_hex(struct weir_sha256 *s, char ret[WEIR_SHA256_STR])
{
    static const uint8_t pad[64] = { 0x80 };
    const uint64_t bits = s->n * 8;
    uint8_t end[8];
    for (int i = 0; i < 8; i++)
        end[i] = (uint8_t)(bits >> (56 - 8 * i));
    weir_sha256_add(s, pad, 1 + (119 - s->n % 64) % 64);
    weir_sha256_add(s, end, 8);
    for (int i = 0; i < 8; i++)
        snprintf(ret + 8 * i, 9, "%08x", s->h[i]);
}
