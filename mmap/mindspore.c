/* SPDX-License-Identifier: MIT
 *
 * Owns MindSpore's .ckpt (one record is read in mindspore_record.c): records of protocol buffers,
 * one behind the other, without a directory. Record by record, a few hundred bytes are read where
 * each begins and the contents are skipped, so a file of 16 GB opens at once and leaves nothing in
 * the page cache.  A large parameter is several records of one tag, each with all of its dimensions
 * and a part of its bytes.  Names stay as they are; what an optimizer left is not taken in. */
#include "config.h"

#include "mmap/mindspore.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/pb.h"
#include "mmap/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_MAX (1u << 20) /* a large model has some hundreds */
#define ROW_MAX     (UINT64_C(1) << 48)
#define CRC_TAIL    17u /* "crc_num", then the sum in ten bytes, high end first */

static const struct {
    const char *name;
    enum weir_dtype dtype;
} types[] = {
    { "Float32", WEIR_DTYPE_F32 }, { "Float16", WEIR_DTYPE_F16 }, { "BFloat16", WEIR_DTYPE_BF16 },
    { "Float64", WEIR_DTYPE_F64 }, { "Int8", WEIR_DTYPE_I8 },     { "Int16", WEIR_DTYPE_I16 },
    { "Int32", WEIR_DTYPE_I32 },   { "Int64", WEIR_DTYPE_I64 },   { "UInt8", WEIR_DTYPE_U8 },
    { "Uint8", WEIR_DTYPE_U8 },    { "UInt16", WEIR_DTYPE_U16 },  { "UInt32", WEIR_DTYPE_U32 },
    { "UInt64", WEIR_DTYPE_U64 },  { "Bool", WEIR_DTYPE_BOOL },
};

/* What training leaves beside the parameters: whole tags, and beginnings of tags. */
static const char *const skip_tags[] = {
    "random_op",   "global_step",  "epoch_num",
    "step_num",    "loss_scale",   "learning_rate",
    "beta1_power", "beta2_power",  "current_iterator_step",
    "scale_sense", "weight_decay", "last_overflow_iterator_step"
};
static const char *const skip_starts[] = { "adam_m.",     "adam_v.",  "adam_v_max.", "moments.",
                                           "moment1.",    "moment2.", "accum.",      "accu_grads.",
                                           "accu_grads_", "exp_avg.", "exp_avg_sq.", "vhat.",
                                           "optimizer." };

static bool skipped(const char *tag)
{
    for (size_t i = 0; i < sizeof(skip_tags) / sizeof(*skip_tags); i++)
        if (!strcmp(tag, skip_tags[i]))
            return true;
    for (size_t i = 0; i < sizeof(skip_starts) / sizeof(*skip_starts); i++)
        if (!strncmp(tag, skip_starts[i], strlen(skip_starts[i])))
            return true;
    return false;
}

static int not_a_record(const struct weir_ms_in *in, struct weir_err *err)
{
    if (!in->record)
        return weir_fail(err, -EINVAL,
                         "%s is encrypted or damaged: what should be its first record is none (%s)",
                         in->path, in->why);
    return weir_fail(err, -EINVAL,
                     "%s is damaged or cut short: record %llu, at byte %llu of %llu, is none: %s",
                     in->path, (unsigned long long)in->record + 1,
                     (unsigned long long)in->record_at, (unsigned long long)in->bytes, in->why);
}

/* ---- putting together ---- */

/* The dims of P for a sentence: "512 x 64". */
static const char *shape_text(const struct weir_ms_param *p, char buf[WEIR_MS_DIMS_MAX * 24])
{
    size_t n = 0;
    buf[0] = 0;
    for (uint32_t i = 0; i < p->n_dim; i++)
        n += (size_t)snprintf(buf + n, 24, "%s%llu", i ? " x " : "", (unsigned long long)p->dim[i]);
    return p->n_dim ? buf : "a scalar";
}

/* The shape and the size of T from P. */
static int size_tensor(const struct weir_ms_in *in, const struct weir_ms_param *p,
                       struct weir_tensor *t, struct weir_err *err)
{
    char shape[WEIR_MS_DIMS_MAX * 24];
    int dtype = -1;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (!strcmp(p->type, types[i].name))
            dtype = (int)types[i].dtype;
    if (dtype < 0)
        return weir_fail(err, -ENOTSUP,
                         "%s: parameter '%s' has type %s, which this program does not read",
                         in->path, p->tag, p->type);
    /* Old files say that a scalar has one dimension, of 0. */
    const uint32_t n_dim = p->n_dim == 1 && !p->dim[0] ? 0 : p->n_dim;
    if (n_dim > WEIR_MAX_DIMS)
        return weir_fail(err, -EINVAL,
                         "%s: parameter '%s' has %u dimensions, at most %d are possible", in->path,
                         p->tag, n_dim, WEIR_MAX_DIMS);
    t->dtype = (enum weir_dtype)dtype;
    t->n_dim = n_dim ? n_dim : 1;
    bool zero = false, over = false;
    uint64_t bytes = weir_dtype_info(t->dtype)->block_bytes;
    for (uint32_t i = 0; i < WEIR_MAX_DIMS; i++) {
        t->dim[i] = i < n_dim ? p->dim[n_dim - 1 - i] : 1; /* the innermost is the first of ours */
        zero |= !t->dim[i];
        over |= weir_mul_over(bytes, t->dim[i], &bytes);
    }
    if (zero)
        return weir_fail(err, -EINVAL, "%s: parameter '%s' is %s: a dimension of 0 holds nothing",
                         in->path, p->tag, shape_text(p, shape));
    if (over || t->dim[0] >= ROW_MAX)
        return weir_fail(err, -EINVAL,
                         "%s: parameter '%s' of %s is larger than any file: the file is damaged",
                         in->path, p->tag, shape_text(p, shape));
    t->bytes = bytes;
    return 0;
}

/* P is complete: into the map with it. */
static int finish(struct weir_ms_in *in, const struct weir_ms_param *p, struct weir_err *err)
{
    struct weir_tensor t = { 0 };
    if (!p->tag[0] || p->skip)
        return 0;
    int rc = size_tensor(in, p, &t, err);
    if (rc)
        return rc;
    t.name = weir_arena_str(&in->m->arena, p->tag, strlen(p->tag));
    if (!t.name)
        return weir_fail(err, -ENOMEM, "%s: no memory for a name", in->path);
    rc = weir_map_place(in->m, &t, p->piece, (uint32_t)p->n_piece, err);
    if (rc)
        return rc;
    rc = weir_map_add_tensor(in->m, &t);
    if (rc == -EEXIST)
        return weir_fail(err, -EINVAL,
                         "%s: parameter '%s' comes again at byte %llu, after others: the file is "
                         "damaged",
                         in->path, p->tag, (unsigned long long)p->at);
    if (rc)
        return weir_fail(err, rc, "%s: no memory for %u tensors", in->path, in->m->n_tensor + 1);
    return 0;
}

/* A record whose tag is the current one's: does it say the same of the whole? */
static int same_whole(const struct weir_ms_in *in, const struct weir_ms_param *cur,
                      const struct weir_ms_param *next, struct weir_err *err)
{
    char a[WEIR_MS_DIMS_MAX * 24], b[WEIR_MS_DIMS_MAX * 24];
    if (next->n_dim == cur->n_dim && !strcmp(next->type, cur->type) &&
        !memcmp(next->dim, cur->dim, next->n_dim * sizeof(*next->dim)))
        return 0;
    return weir_fail(err, -EINVAL,
                     "%s: the pieces of parameter '%s' do not agree: %s of %s, then, at byte %llu, "
                     "%s of %s",
                     in->path, cur->tag, shape_text(cur, a), cur->type,
                     (unsigned long long)in->record_at, shape_text(next, b), next->type);
}

static int take_record(struct weir_ms_in *in, struct weir_ms_param *cur, struct weir_ms_param *next,
                       const struct weir_piece *content, struct weir_err *err)
{
    int rc = 0;
    if (strcmp(cur->tag, next->tag) != 0) {
        rc = finish(in, cur, err);
        next->piece = cur->piece;
        next->cap_piece = cur->cap_piece;
        next->n_piece = 0;
        next->at = in->record_at;
        next->skip = skipped(next->tag) || !strcmp(next->type, "str");
        *cur = *next;
    } else if (!cur->skip) {
        rc = same_whole(in, cur, next, err);
    }
    if (rc || cur->skip)
        return rc;
    rc = weir_reserve(WEIR_MEM_MISC, &cur->piece, &cur->cap_piece, cur->n_piece + 1,
                      sizeof(*cur->piece));
    if (rc)
        return weir_fail(err, rc, "%s: no memory for %zu pieces", in->path, cur->n_piece + 1);
    cur->piece[cur->n_piece++] = *content;
    return 0;
}

static int read_records(struct weir_ms_in *in, struct weir_err *err)
{
    struct weir_ms_param cur = { 0 }, next = { 0 };
    int rc = 0;
    for (; !rc && in->pos < in->bytes; in->record++) {
        struct weir_err sys = { 0 };
        struct weir_piece content;
        bool tensor;
        in->record_at = in->pos;
        in->why = NULL;
        in->err = &sys;
        rc = in->record == RECORDS_MAX ? weir_ms_bad(in, "there are more than any model has")
                                       : weir_ms_record(in, &next, &content, &tensor);
        if (rc && in->why)
            rc = not_a_record(in, err);
        else if (rc)
            rc = weir_fail(err, rc, "%s", sys.msg);
        else if (tensor)
            rc = take_record(in, &cur, &next, &content, err);
        else if (!skipped(next.tag))
            rc = weir_fail(err, -ENOTSUP,
                           "%s: parameter '%s' is no tensor but a map or the like, which this "
                           "program does not read",
                           in->path, next.tag);
    }
    if (!rc)
        rc = finish(in, &cur, err);
    weir_free(cur.piece);
    return rc;
}

/* The sum at the end of the file, if there is one: it is no record, and kept for weir_map_verify.
 */
static int read_crc(struct weir_ms_in *in, struct weir_err *err)
{
    uint8_t tail[CRC_TAIL];
    if (in->bytes < CRC_TAIL)
        return 0;
    const uint64_t at = in->bytes - CRC_TAIL;
    int rc = weir_map_read(in->m, 0, at, CRC_TAIL, tail, err);
    weir_map_drop(in->m, 0, at, CRC_TAIL);
    if (rc || memcmp(tail, "crc_num", 7) != 0)
        return rc;
    for (int i = 7; i < 13; i++)
        if (tail[i])
            return weir_fail(err, -EINVAL,
                             "%s: the CRC-32 at its end is a number of more than 32 bits: the file "
                             "is damaged",
                             in->path);
    struct weir_check c = { .file = 0, .kind = WEIR_CHECK_CRC32, .bytes = at };
    memcpy(c.want, tail + 13, 4);
    in->bytes = at;
    if (weir_map_add_check(in->m, &c))
        return weir_fail(err, -ENOMEM, "%s: no memory for its checksum", in->path);
    return 0;
}

/* A folder rank_0 beside a folder rank_1: every file has a part of every matrix. */
static int refuse_ranks(const char *path, struct weir_err *err)
{
    char other[1024];
    const char *base = strrchr(path, '/');
    const char *dir = base;
    while (dir && dir > path && dir[-1] != '/')
        dir--;
    if (!dir || strncmp(dir, "rank_", 5) != 0 || (size_t)(dir - path) + 8 > sizeof(other))
        return 0;
    snprintf(other, sizeof(other), "%.*srank_%d", (int)(dir - path), path,
             strncmp(dir, "rank_0/", 7) ? 0 : 1);
    if (access(other, F_OK))
        return 0;
    return weir_fail(err, -ENOTSUP,
                     "%s is one rank's part of a distributed checkpoint (there is %s too): merge "
                     "it into one file first",
                     path, other);
}

static int open_mindspore(struct weir_map *m, struct weir_err *err)
{
    struct weir_ms_in *in = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*in));
    if (!in)
        return weir_fail(err, -ENOMEM, "%s: no memory to read it", m->file[0].path);
    in->m = m;
    in->path = m->file[0].path;
    in->bytes = m->file[0].bytes;
    int rc = refuse_ranks(in->path, err);
    if (!rc)
        rc = read_crc(in, err);
    if (!rc)
        rc = read_records(in, err);
    if (!rc)
        snprintf(m->format, sizeof(m->format), "mindspore ckpt");
    weir_free(in);
    return rc;
}

/* No magic number: the first record's head must be one. */
static bool bid(const uint8_t *p, uint64_t n)
{
    struct weir_cur c = weir_cur_of(p, n);
    bool good = weir_cur_u8(&c) == 0x0a; /* a Value */
    weir_pb_varint(&c);
    good = good && weir_cur_u8(&c) == 0x0a; /* its tag */
    const uint64_t len = weir_pb_varint(&c);
    const uint8_t *tag = good && len && len <= WEIR_MS_TAG_MAX ? weir_cur_take(&c, len) : NULL;
    for (uint64_t i = 0; tag && i < len; i++)
        good = good && tag[i] >= 0x20 && tag[i] != 0x7f;
    if (!good || !tag || weir_cur_u8(&c) != 0x12) /* its tensor */
        return false;
    weir_pb_varint(&c);
    const uint8_t next = weir_cur_u8(&c); /* a dimension, several, or none and the type */
    return !c.bad && (next == 0x08 || next == 0x0a || next == 0x12);
}

static void first(const char *name, char *buf) { strcpy(buf, name); }

const struct weir_format weir_format_mindspore = {
    .name = "MindSpore",
    .suffix = ".ckpt",
    .bid = bid,
    .open = open_mindspore,
    .first = first,
    .no_bid = "is encrypted or damaged: it does not begin with a record of MindSpore's",
};
