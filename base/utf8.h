/* SPDX-License-Identifier: MIT
 *
 * One step through UTF-8 that somebody else wrote (RFC 3629: no surrogates, no overlong forms,
 * nothing above U+10FFFF).  No state, any thread. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum weir_utf8 {
    WEIR_UTF8_OK,    /* a whole character */
    WEIR_UTF8_BAD,   /* cannot become one, whatever follows */
    WEIR_UTF8_SHORT, /* the input ends inside one */
};

/* Look at the character at P, where N > 0 bytes are left.  *RET_LEN is its length; for BAD and
 * SHORT that of the maximal subpart (Unicode 15, table 3-8): what one U+FFFD stands for. */
static inline enum weir_utf8 weir_utf8_step(const uint8_t *p, size_t n, size_t *ret_len)
{
    const uint8_t c = p[0];
    uint8_t lo = 0x80, hi = 0xBF; /* what the second byte may be */
    size_t len;

    *ret_len = 1;
    if (c < 0x80)
        return WEIR_UTF8_OK;
    if (c < 0xC2 || c > 0xF4)
        return WEIR_UTF8_BAD;
    if (c < 0xE0) {
        len = 2;
    } else if (c < 0xF0) {
        len = 3;
        if (c == 0xE0)
            lo = 0xA0;
        else if (c == 0xED)
            hi = 0x9F;
    } else {
        len = 4;
        if (c == 0xF0)
            lo = 0x90;
        else if (c == 0xF4)
            hi = 0x8F;
    }
    for (size_t i = 1; i < len; i++) {
        *ret_len = i;
        if (i >= n)
            return WEIR_UTF8_SHORT;
        if (p[i] < lo || p[i] > hi)
            return WEIR_UTF8_BAD;
        lo = 0x80;
        hi = 0xBF;
    }
    *ret_len = len;
    return WEIR_UTF8_OK;
}

#define WEIR_UTF8_NONE UINT32_MAX /* no character */

/* The character at P, where N > 0 bytes are left, and its length; WEIR_UTF8_NONE of 1 byte for what
 * is none. */
static inline uint32_t weir_utf8_get(const uint8_t *p, size_t n, size_t *ret_len)
{
    static const uint8_t mask[5] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    if (weir_utf8_step(p, n, ret_len) != WEIR_UTF8_OK) {
        *ret_len = 1;
        return WEIR_UTF8_NONE;
    }
    uint32_t c = p[0] & mask[*ret_len];
    for (size_t i = 1; i < *ret_len; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

/* Write character C, at most U+10FFFF, to OUT, which has room for 4 bytes.  Its length. */
static inline size_t weir_utf8_put(uint8_t *out, uint32_t c)
{
    const size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[5] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    for (size_t i = len; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    out[0] = (uint8_t)(first[len] | c);
    return len;
}

/* A terminated copy of S with every invalid part (and NUL) replaced by U+FFFD; free with free().
 * NULL when there is no memory. */
char *weir_utf8_clean(const char *s, size_t n);

#endif
