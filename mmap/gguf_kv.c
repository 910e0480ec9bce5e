/* SPDX-License-Identifier: MIT
 *
 * Owns the key-value section of GGUF: its types, and the proof that every value lies inside the
 * header before anything points at it. */
#include "config.h"

#include "mmap/gguf.h"

#include "base/num.h"

#include <errno.h>
#include <string.h>

#define KEY_MAX  65535 /* by the specification */
#define PAIR_MIN 14    /* bytes of the shortest pair: a length, one letter, a type, one byte */

static const struct {
    enum weir_meta_type kind;
    uint8_t bytes; /* of a value; of the length in front of a string */
} types[WEIR_GGUF_TYPE_COUNT] = {
    [WEIR_GGUF_U8] = { WEIR_META_U64, 1 },  [WEIR_GGUF_I8] = { WEIR_META_I64, 1 },
    [WEIR_GGUF_U16] = { WEIR_META_U64, 2 }, [WEIR_GGUF_I16] = { WEIR_META_I64, 2 },
    [WEIR_GGUF_U32] = { WEIR_META_U64, 4 }, [WEIR_GGUF_I32] = { WEIR_META_I64, 4 },
    [WEIR_GGUF_F32] = { WEIR_META_F64, 4 }, [WEIR_GGUF_BOOL] = { WEIR_META_BOOL, 1 },
    [WEIR_GGUF_STR] = { WEIR_META_STR, 8 }, [WEIR_GGUF_ARRAY] = { WEIR_META_ARRAY, 12 },
    [WEIR_GGUF_U64] = { WEIR_META_U64, 8 }, [WEIR_GGUF_I64] = { WEIR_META_I64, 8 },
    [WEIR_GGUF_F64] = { WEIR_META_F64, 8 },
};

int weir_gguf_need(const struct weir_gguf_in *in, uint64_t n, struct weir_err *err)
{
    uint64_t end;
    if (n <= weir_cur_left(&in->c))
        return 0;
    if (weir_add_over(in->c.pos, n, &end))
        end = UINT64_MAX;
    return weir_fail(err, -EINVAL,
                     "%s is cut short in its header: needs at least %llu bytes, has %llu: %s",
                     in->path, (unsigned long long)end, (unsigned long long)in->c.size,
                     end > WEIR_GGUF_ABSURD ? "the file is damaged" : "download it again?");
}

int weir_gguf_name(struct weir_gguf_in *in, const char *what, uint64_t max, const char **ret,
                   struct weir_err *err)
{
    int rc = weir_gguf_need(in, 8, err);
    if (rc)
        return rc;
    uint64_t at = in->c.pos, n = weir_cur_u64(&in->c);
    if (!n || n > max)
        return weir_fail(err, -EINVAL,
                         "%s: the %s at byte %llu is %llu bytes long, it must be 1 to %llu: "
                         "the file is damaged",
                         in->path, what, (unsigned long long)at, (unsigned long long)n,
                         (unsigned long long)max);
    rc = weir_gguf_need(in, n, err);
    if (rc)
        return rc;
    const uint8_t *p = weir_cur_take(&in->c, n);
    const char *s = weir_arena_str(in->arena, p, (size_t)n);
    if (!s)
        return weir_fail(err, -ENOMEM, "%s: no memory for a %s", in->path, what);
    if (strlen(s) != n) /* of the copy, since the file may change under us */
        return weir_fail(err, -EINVAL,
                         "%s: the %s at byte %llu has a zero byte in it: the file is "
                         "damaged",
                         in->path, what, (unsigned long long)at);
    *ret = s;
    return 0;
}

bool weir_gguf_kind(uint32_t raw_type, enum weir_meta_type *ret)
{
    if (raw_type >= WEIR_GGUF_TYPE_COUNT)
        return false;
    *ret = types[raw_type].kind;
    return true;
}

bool weir_gguf_value(struct weir_cur *c, uint32_t raw_type, struct weir_meta *ret)
{
    if (!weir_gguf_kind(raw_type, &ret->type))
        return false;
    switch ((enum weir_gguf_type)raw_type) {
    case WEIR_GGUF_U8: ret->v.u64 = weir_cur_u8(c); break;
    case WEIR_GGUF_I8: ret->v.i64 = (int8_t)weir_cur_u8(c); break;
    case WEIR_GGUF_U16: ret->v.u64 = weir_cur_u16(c); break;
    case WEIR_GGUF_I16: ret->v.i64 = (int16_t)weir_cur_u16(c); break;
    case WEIR_GGUF_U32: ret->v.u64 = weir_cur_u32(c); break;
    case WEIR_GGUF_I32: ret->v.i64 = (int32_t)weir_cur_u32(c); break;
    case WEIR_GGUF_F32: ret->v.f64 = (double)weir_cur_f32(c); break;
    case WEIR_GGUF_BOOL: ret->v.b = weir_cur_u8(c) != 0; break;
    case WEIR_GGUF_U64: ret->v.u64 = weir_cur_u64(c); break;
    case WEIR_GGUF_I64: ret->v.i64 = (int64_t)weir_cur_u64(c); break;
    case WEIR_GGUF_F64: ret->v.f64 = weir_cur_f64(c); break;
    case WEIR_GGUF_STR:
        ret->v.str.n = weir_cur_u64(c);
        ret->v.str.p = (const char *)weir_cur_take(c, ret->v.str.n);
        break;
    case WEIR_GGUF_ARRAY:
    case WEIR_GGUF_TYPE_COUNT: return false;
    }
    return !c->bad;
}

static int bad_type(const struct weir_gguf_in *in, const char *key, uint32_t raw,
                    struct weir_err *err)
{
    return weir_fail(err, -EINVAL,
                     "%s: metadata '%s' has type number %u, but GGUF has 0 to %d: the file "
                     "is damaged",
                     in->path, key, raw, WEIR_GGUF_TYPE_COUNT - 1);
}

static int read_array(struct weir_gguf_in *in, struct weir_meta *v, struct weir_err *err)
{
    int rc = weir_gguf_need(in, 12, err);
    if (rc)
        return rc;
    uint32_t raw = weir_cur_u32(&in->c);
    uint64_t n = weir_cur_u64(&in->c), bytes;
    v->v.arr.raw_type = raw;
    v->v.arr.n = n;
    if (!weir_gguf_kind(raw, &v->v.arr.type))
        return bad_type(in, v->key, raw, err);
    if (raw == WEIR_GGUF_ARRAY)
        return weir_fail(err, -ENOTSUP,
                         "%s: metadata '%s' is an array of arrays, which GGUF readers do "
                         "not take",
                         in->path, v->key);
    /* First without looking at the elements: the walk over strings must be bounded too. */
    if (weir_mul_over(n, types[raw].bytes, &bytes))
        bytes = UINT64_MAX;
    rc = weir_gguf_need(in, bytes, err);
    if (rc)
        return rc;
    uint64_t from = in->c.pos;
    v->v.arr.p = in->c.base + from;
    if (raw != WEIR_GGUF_STR) {
        weir_cur_take(&in->c, bytes);
    } else {
        for (uint64_t i = 0; i < n; i++) {
            rc = weir_gguf_need(in, 8, err);
            if (rc)
                return rc;
            uint64_t len = weir_cur_u64(&in->c);
            rc = weir_gguf_need(in, len, err);
            if (rc)
                return rc;
            weir_cur_take(&in->c, len);
        }
    }
    v->v.arr.bytes = in->c.pos - from;
    return 0;
}

static int read_value(struct weir_gguf_in *in, struct weir_meta *v, struct weir_err *err)
{
    int rc = weir_gguf_need(in, 4, err);
    if (rc)
        return rc;
    uint32_t raw = weir_cur_u32(&in->c);
    if (!weir_gguf_kind(raw, &v->type))
        return bad_type(in, v->key, raw, err);
    if (raw == WEIR_GGUF_ARRAY)
        return read_array(in, v, err);
    rc = weir_gguf_need(in, types[raw].bytes, err);
    if (rc)
        return rc;
    if (raw == WEIR_GGUF_STR) {
        v->v.str.n = weir_cur_u64(&in->c);
        rc = weir_gguf_need(in, v->v.str.n, err);
        if (rc)
            return rc;
        v->v.str.p = (const char *)weir_cur_take(&in->c, v->v.str.n);
        return 0;
    }
    weir_gguf_value(&in->c, raw, v);
    return 0;
}

int weir_gguf_read_kv(struct weir_gguf_in *in, uint64_t n, struct weir_metas *s,
                      struct weir_err *err)
{
    if (n > weir_cur_left(&in->c) / PAIR_MIN || n > UINT32_MAX / 2)
        return weir_fail(err, -EINVAL,
                         "%s claims to hold %llu metadata pairs, but has only %llu bytes "
                         "left for them: the file is damaged or cut short",
                         in->path, (unsigned long long)n,
                         (unsigned long long)weir_cur_left(&in->c));
    for (uint64_t i = 0; i < n; i++) {
        struct weir_meta v = { 0 };
        int rc = weir_gguf_name(in, "metadata key", KEY_MAX, &v.key, err);
        if (!rc)
            rc = read_value(in, &v, err);
        if (rc)
            return rc;
        rc = weir_metas_add(s, &v);
        if (rc == -EEXIST)
            return weir_fail(err, -EINVAL, "%s: metadata '%s' is there twice: the file is damaged",
                             in->path, v.key);
        if (rc)
            return weir_fail(err, rc, "%s: no memory for %llu metadata pairs", in->path,
                             (unsigned long long)n);
    }
    return 0;
}
