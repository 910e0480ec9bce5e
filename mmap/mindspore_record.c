/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of one record: protocol buffers through a window of a file, so that contents of
 * any size are stepped over and never seen. */
#include "config.h"

#include "mmap/mindspore.h"

#include "base/num.h"
#include "base/pb.h"

#include <errno.h>
#include <string.h>

/* The N bytes at POS (N <= WEIR_MS_WINDOW, all inside END <= bytes) in memory: a pointer that the
 * next call takes away, or NULL with a sentence. */
static const uint8_t *window(struct weir_ms_in *in, uint64_t n)
{
    if (in->pos < in->win_at || in->pos - in->win_at > in->win_n ||
        in->win_n - (in->pos - in->win_at) < n) {
        const uint32_t want = (uint32_t)weir_min_u64(WEIR_MS_WINDOW, in->bytes - in->pos);
        in->win_n = 0;
        if (weir_map_read(in->m, 0, in->pos, want, in->win, in->err))
            return NULL;
        weir_map_drop(in->m, 0, in->pos, want);
        in->win_at = in->pos;
        in->win_n = want;
    }
    return in->win + (in->pos - in->win_at);
}

/* Below: 0; -EINVAL with in->why (the caller makes the sentence); another error with a sentence. */
int weir_ms_bad(struct weir_ms_in *in, const char *why)
{
    in->why = why;
    return -EINVAL;
}

static int varint(struct weir_ms_in *in, uint64_t end, uint64_t *ret)
{
    const uint64_t n = weir_min_u64(end - in->pos, 10);
    const uint8_t *p = window(in, n);
    if (!p)
        return in->err->code;
    struct weir_cur c = weir_cur_of(p, n);
    *ret = weir_pb_varint(&c);
    if (c.bad)
        return weir_ms_bad(in, "a number has no end");
    in->pos += c.pos;
    return 0;
}

/* The head of a field that ends before END; of BYTES only the length: they begin at pos. */
static int field(struct weir_ms_in *in, uint64_t end, struct weir_pb_field *f)
{
    uint64_t tag = 0;
    int rc = varint(in, end, &tag);
    if (rc)
        return rc;
    *f = (struct weir_pb_field){ .number = (uint32_t)(tag >> 3),
                                 .type = (enum weir_pb_type)(tag & 7) };
    if (!f->number || tag >> 32)
        return weir_ms_bad(in, "a field has no number");
    switch (f->type) {
    case WEIR_PB_VARINT: return varint(in, end, &f->value);
    case WEIR_PB_BYTES:
        rc = varint(in, end, &f->n);
        if (!rc && f->n > end - in->pos)
            rc = weir_ms_bad(in, "a field is longer than what it is in");
        return rc;
    case WEIR_PB_FIXED64:
    case WEIR_PB_FIXED32: f->n = f->type == WEIR_PB_FIXED64 ? 8 : 4; break;
    default: return weir_ms_bad(in, "a field is of a kind that there is not");
    }
    if (f->n > end - in->pos)
        return weir_ms_bad(in, "a field is longer than what it is in");
    in->pos += f->n;
    return 0;
}

static int text(struct weir_ms_in *in, const struct weir_pb_field *f, uint32_t max, char *ret,
                const char *why)
{
    if (!f->n || f->n > max)
        return weir_ms_bad(in, why);
    const uint8_t *p = window(in, f->n);
    if (!p)
        return in->err->code;
    for (uint64_t i = 0; i < f->n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            return weir_ms_bad(in, why);
    memcpy(ret, p, f->n);
    ret[f->n] = 0;
    in->pos += f->n;
    return 0;
}

static int dim(struct weir_ms_in *in, struct weir_ms_param *p, uint64_t v)
{
    if (p->n_dim == WEIR_MS_DIMS_MAX)
        return weir_ms_bad(in, "it has more than 16 dimensions");
    if (v >> 63)
        return weir_ms_bad(in, "a dimension is negative");
    p->dim[p->n_dim++] = v;
    return 0;
}

/* The TensorProto of N bytes at pos: *P's dims and type, and where its contents are. */
static int tensor_message(struct weir_ms_in *in, uint64_t n, struct weir_ms_param *p,
                          struct weir_piece *content, bool *ret_has)
{
    const uint64_t end = in->pos + n;
    struct weir_pb_field f;
    int rc = 0;
    while (!rc && in->pos < end) {
        rc = field(in, end, &f);
        if (rc)
            break;
        const uint64_t at = in->pos;
        if (f.number == 1 && f.type == WEIR_PB_VARINT) {
            rc = dim(in, p, f.value);
        } else if (f.number == 1 && f.type == WEIR_PB_BYTES) { /* the other way to write numbers */
            for (uint64_t v; !rc && in->pos < at + f.n;) {
                rc = varint(in, at + f.n, &v);
                if (!rc)
                    rc = dim(in, p, v);
            }
        } else if (f.number == 2 && f.type == WEIR_PB_BYTES) {
            rc = text(in, &f, WEIR_MS_TYPE_MAX, p->type, "its type is no name of one");
        } else if (f.number == 3 && f.type == WEIR_PB_BYTES) {
            if (*ret_has)
                rc = weir_ms_bad(in, "it has contents twice");
            *content = (struct weir_piece){ 0, at, f.n };
            *ret_has = true;
        }
        if (!rc && f.type == WEIR_PB_BYTES)
            in->pos = at + f.n;
    }
    return rc;
}

int weir_ms_record(struct weir_ms_in *in, struct weir_ms_param *p, struct weir_piece *content,
                   bool *ret_tensor)
{
    struct weir_pb_field f;
    bool has_content = false;
    p->tag[0] = p->type[0] = 0;
    p->n_dim = 0;
    *ret_tensor = false;
    *content = (struct weir_piece){ .offset = in->pos };
    int rc = field(in, in->bytes, &f);
    if (!rc && (f.number != 1 || f.type != WEIR_PB_BYTES))
        rc = weir_ms_bad(in, "it does not begin as one");
    for (const uint64_t end = in->pos + f.n; !rc && in->pos < end;) {
        rc = field(in, end, &f);
        if (rc)
            break;
        const uint64_t at = in->pos;
        if (f.number == 1 && f.type == WEIR_PB_BYTES)
            rc = text(in, &f, WEIR_MS_TAG_MAX, p->tag, "its tag is no name");
        else if (f.number == 2 && f.type == WEIR_PB_BYTES) {
            *ret_tensor = true;
            rc = tensor_message(in, f.n, p, content, &has_content);
        }
        if (!rc && f.type == WEIR_PB_BYTES)
            in->pos = at + f.n;
    }
    if (!rc && !p->tag[0])
        rc = weir_ms_bad(in, "it has no tag");
    if (!rc && *ret_tensor && !p->type[0])
        rc = weir_ms_bad(in, "its tensor has no type");
    return rc;
}
