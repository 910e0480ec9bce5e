/* SPDX-License-Identifier: MIT
 *
 * A bounded cursor over bytes that somebody else wrote.  Every parser of this project reads through
 * one: a read past the end sets `bad` and gives zeros, so a parser may read a whole record and
 * check once.  All integers are little-endian. */
#ifndef WEIR_BASE_CUR_H
#define WEIR_BASE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weir_cur {
    const uint8_t *base; /* first byte */
    uint64_t size;       /* bytes in all */
    uint64_t pos;        /* next byte; never above size */
    bool bad;            /* a read went past the end; sticky */
};

static inline struct weir_cur weir_cur_of(const void *base, uint64_t size)
{
    return (struct weir_cur){ .base = (const uint8_t *)base, .size = size };
}

static inline uint64_t weir_cur_left(const struct weir_cur *c) { return c->size - c->pos; }

/* The next N bytes, or NULL (and bad) when fewer are left.  Owned by whoever owns the base. */
static inline const uint8_t *weir_cur_take(struct weir_cur *c, uint64_t n)
{
    if (c->bad || n > c->size - c->pos) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->base + c->pos;
    c->pos += n;
    return p;
}

#define WEIR_CUR_GET(name, type)                                                                   \
    static inline type weir_cur_##name(struct weir_cur *c)                                         \
    {                                                                                              \
        type v = 0;                                                                                \
        const uint8_t *p = weir_cur_take(c, sizeof(v));                                            \
        if (p)                                                                                     \
            memcpy(&v, p, sizeof(v));                                                              \
        return v;                                                                                  \
    }
WEIR_CUR_GET(u8, uint8_t)
WEIR_CUR_GET(u16, uint16_t)
WEIR_CUR_GET(u32, uint32_t)
WEIR_CUR_GET(u64, uint64_t)
WEIR_CUR_GET(f32, float)
WEIR_CUR_GET(f64, double)
#undef WEIR_CUR_GET

#endif
