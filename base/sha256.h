/* SPDX-License-Identifier: MIT
 *
 * SHA-256 (FIPS 180-4): whether a file is the one that was meant.  Any number of bytes at a time;
 * one thread per state. */
#ifndef WEIR_BASE_SHA256_H
#define WEIR_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_SHA256_STR 65 /* 64 lower-case hexadecimal digits and the end */

struct weir_sha256 {
    uint32_t h[8];
    uint64_t n; /* bytes so far */
    uint8_t block[64];
};

void weir_sha256_init(struct weir_sha256 *s);
void weir_sha256_add(struct weir_sha256 *s, const void *data, size_t n);
/* The digest as text; the state is used up. */
void weir_sha256_hex(struct weir_sha256 *s, char ret[WEIR_SHA256_STR]);

#endif
