/* SPDX-License-Identifier: MIT
 *
 * MD5 (RFC 1321): some indexes of models carry the sums of their files in it.  Against accidents,
 * not against people.  Any number of bytes at a time; one thread per state. */
#ifndef WEIR_BASE_MD5_H
#define WEIR_BASE_MD5_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_MD5_BYTES 16

struct weir_md5 {
    uint32_t h[4];
    uint64_t n; /* bytes so far */
    uint8_t block[64];
};

void weir_md5_init(struct weir_md5 *s);
void weir_md5_add(struct weir_md5 *s, const void *data, size_t n);
/* The digest; the state is used up. */
void weir_md5_end(struct weir_md5 *s, uint8_t ret[WEIR_MD5_BYTES]);

#endif
