/* SPDX-License-Identifier: MIT
 * Owns CRC-32, eight bytes a step: files of many gigabytes are checked with it. */
#include "config.h"

#include "base/crc32.h"

#define POLYNOMIAL 0xedb88320u /* 0x04c11db7, bits in reverse */

void weir_crc32_init(struct weir_crc32 *s)
{
    s->crc = 0;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ (v & 1 ? POLYNOMIAL : 0);
        s->table[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) /* the same byte, k bytes further from the end */
            s->table[k][i] = s->table[k - 1][i] >> 8 ^ s->table[0][s->table[k - 1][i] & 0xff];
}

void weir_crc32_add(struct weir_crc32 *s, const void *data, size_t n)
{
    const uint8_t *p = data;
    uint32_t v = ~s->crc;
    for (; n >= 8; n -= 8, p += 8) {
        v ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        v = s->table[7][v & 0xff] ^ s->table[6][v >> 8 & 0xff] ^ s->table[5][v >> 16 & 0xff] ^
            s->table[4][v >> 24] ^ s->table[3][p[4]] ^ s->table[2][p[5]] ^ s->table[1][p[6]] ^
            s->table[0][p[7]];
    }
    for (; n; n--)
        v = v >> 8 ^ s->table[0][(v ^ *p++) & 0xff];
    s->crc = ~v;
}
