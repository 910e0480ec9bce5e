/* SPDX-License-Identifier: MIT
 *
 * CRC-32 as zip, gzip and PNG have it (ISO 3309, polynomial 0x04C11DB7, reflected).  Any number of
 * bytes at a time; one thread per state. */
#ifndef WEIR_BASE_CRC32_H
#define WEIR_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

struct weir_crc32 {
    uint32_t crc;           /* of the bytes so far */
    uint32_t table[8][256]; /* eight bytes a step */
};

void weir_crc32_init(struct weir_crc32 *s);
void weir_crc32_add(struct weir_crc32 *s, const void *data, size_t n);

#endif
