/* SPDX-License-Identifier: MIT
 *
 * Protocol buffers' wire format, field by field, through the bounded cursor of cur.h (source: the
 * "Encoding" page of the protobuf documentation).  Nothing is allocated.
 *
 *     while (weir_pb_next(&c, &f))
 *         if (f.number == 1 && f.type == WEIR_PB_BYTES) ... f.bytes, f.n
 *     if (c.bad) the message is damaged */
#ifndef WEIR_BASE_PB_H
#define WEIR_BASE_PB_H

#include "base/cur.h"

enum weir_pb_type {
    WEIR_PB_VARINT = 0,
    WEIR_PB_FIXED64 = 1,
    WEIR_PB_BYTES = 2,
    WEIR_PB_FIXED32 = 5
};

struct weir_pb_field {
    uint32_t number;
    enum weir_pb_type type;
    uint64_t value;       /* of VARINT, FIXED64 and FIXED32 */
    const uint8_t *bytes; /* of BYTES: n bytes, owned as the cursor's */
    uint64_t n;
};

static inline uint64_t weir_pb_varint(struct weir_cur *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t b = weir_cur_u8(c);
        if (shift < 64)
            v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

/* The next field of the message in C; false at its end, or when it is damaged (c->bad). */
static inline bool weir_pb_next(struct weir_cur *c, struct weir_pb_field *f)
{
    if (c->bad || !weir_cur_left(c))
        return false;
    const uint64_t tag = weir_pb_varint(c);
    *f = (struct weir_pb_field){ .number = (uint32_t)(tag >> 3),
                                 .type = (enum weir_pb_type)(tag & 7) };
    if (!f->number || tag >> 32)
        c->bad = true;
    switch (f->type) {
    case WEIR_PB_VARINT: f->value = weir_pb_varint(c); break;
    case WEIR_PB_FIXED64: f->value = weir_cur_u64(c); break;
    case WEIR_PB_BYTES:
        f->n = weir_pb_varint(c);
        f->bytes = weir_cur_take(c, f->n);
        break;
    case WEIR_PB_FIXED32: f->value = weir_cur_u32(c); break;
    default: /* groups have been gone since 2010 */ c->bad = true;
    }
    return !c->bad;
}

#endif
