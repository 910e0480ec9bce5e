/* SPDX-License-Identifier: MIT
 *
 * FNV-1a, 64 bit (draft-eastlake-fnv): for hash tables and for comparing outputs, not for security.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WEIR_HASH_INIT UINT64_C(0xcbf29ce484222325)

/* Continue hash H over N bytes.  Start with WEIR_HASH_INIT. */
static inline uint64_t weir_hash(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* The same step over whole 64-bit words (a tail of zeros is added): eight times as fast, for big
 * buffers.  Its values differ from weir_hash's. */
static inline uint64_t weir_hash_words(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = (const unsigned char *)data;
    for (; n; n -= n < 8 ? n : 8, p += 8) {
        uint64_t w = 0;
        memcpy(&w, p, n < 8 ? n : 8);
        h = (h ^ w) * UINT64_C(0x100000001b3);
        h ^= h >> 32; /* a word's high bits must reach the low ones */
    }
    return h;
}

#endif
