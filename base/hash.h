/* SPDX-License-Identifier: MIT
 *
 * FNV-1a, 64 bit (draft-eastlake-fnv): for hash tables and for comparing outputs, not for security. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_HASH_INIT UINT64_C(0xcbf29ce484222325)

/* Continue hash H over N bytes.  Start with WEIR_HASH_INIT. */
static inline uint64_t weir_hash(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

#endif
