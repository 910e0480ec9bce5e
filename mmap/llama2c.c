/* SPDX-License-Identifier: MIT
 *
 * Owns the files of llama2.c: a few numbers, then the weights as floats without names or shapes.
 * Version 0 begins with the numbers, so it is only taken when they and the length of the file agree
 * to the byte; the others have a magic number.  Version 2 has matrices of int8, each followed by a
 * float for every group of a row.  Tensors get the names they have in the program that wrote them,
 * which are Meta's; scales, those of the matrix with "scales" in the place of "weight".  The
 * numbers become metadata under GGUF's keys. */
#include "config.h"

#include "base/cur.h"
#include "base/num.h"
#include "mmap/format.h"
#include "mmap/map_edit.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC        0x616b3432u /* "ak42" as one number */
#define V0_BYTES     28
#define V1_BYTES     256
#define LAYERS_MAX   1024
#define NORM_EPS     1e-5
#define LLAMA(key)   "llama." key
#define HEADER_BYTES 64 /* that hold all numbers of any version */
#define SCALES_TRIED 32 /* of each matrix */
#define SCALE_MAX    1e6

typedef unsigned long long ull;

struct header {
    uint32_t version;
    uint32_t dim, hidden, n_layer, n_head, n_kv, n_vocab, seq;
    bool shared;    /* the output uses the table of embeddings */
    uint32_t group; /* of int8 weights with one scale; 0: floats */
};

struct in {
    struct weir_map *m;
    struct header h;
    uint64_t pos;
    struct weir_err *err;
};

/* The seven numbers, when they can be those of a model. */
static bool read_numbers(struct weir_cur *c, struct header *h)
{
    h->dim = weir_cur_u32(c);
    h->hidden = weir_cur_u32(c);
    h->n_layer = weir_cur_u32(c);
    h->n_head = weir_cur_u32(c);
    h->n_kv = weir_cur_u32(c);
    const int32_t vocab = (int32_t)weir_cur_u32(c);
    h->seq = weir_cur_u32(c);
    h->shared = vocab > 0; /* of version 0: the sign says it */
    h->n_vocab = vocab < 0 ? 0u - (uint32_t)vocab : (uint32_t)vocab;
    return !c->bad && h->dim && h->dim <= 1u << 17 && h->hidden && h->hidden <= 1u << 20 &&
           h->n_layer && h->n_layer <= LAYERS_MAX && h->n_head && h->n_head <= 4096 && h->n_kv &&
           h->n_kv <= h->n_head && !(h->dim % h->n_head) && !(h->n_head % h->n_kv) &&
           !(h->dim / h->n_head % 2) && h->n_vocab && h->n_vocab <= 1u << 24 && h->seq &&
           h->seq <= 1u << 24;
}

static bool read_header(const uint8_t *p, uint64_t n, struct header *h)
{
    struct weir_cur c = weir_cur_of(p, n);
    if (weir_cur_u32(&c) != MAGIC) {
        c = weir_cur_of(p, n);
        h->version = 0;
        return read_numbers(&c, h);
    }
    h->version = weir_cur_u32(&c);
    if (h->version != 1 && h->version != 2) /* opening will say what it thinks of a later one */
        return h->version > 2;
    bool good = read_numbers(&c, h) && h->shared; /* no sign here */
    h->shared = weir_cur_u8(&c) != 0;
    if (h->version == 2) {
        h->group = weir_cur_u32(&c);
        good = good && h->group && h->dim % h->group == 0;
    }
    return good && !c.bad;
}

static bool bid(const uint8_t *p, uint64_t n)
{
    struct header h;
    struct weir_cur c = weir_cur_of(p, n);
    return weir_cur_u32(&c) == MAGIC || read_header(p, n, &h);
}

/* COLS x ROWS values of TYPE come next (ROWS of 0: a vector). */
static int add_array(struct in *in, const char *name, enum weir_dtype type, uint64_t cols,
                     uint64_t rows)
{
    struct weir_tensor t = { .dtype = type,
                             .n_dim = rows ? 2 : 1,
                             .dim = { cols, rows ? rows : 1, 1, 1 },
                             .offset = in->pos };
    /* below 2^44 by the bounds of the header */
    t.bytes = t.dim[0] * t.dim[1] * weir_dtype_info(type)->block_bytes;
    t.name = weir_arena_str(&in->m->arena, name, strlen(name));
    if (!t.name || weir_map_add_tensor(in->m, &t))
        return weir_fail(in->err, -ENOMEM, "%s: no memory for its tensors", in->m->file[0].path);
    in->pos += t.bytes;
    return 0;
}

/* A file of version 2 that has the scales of all matrices at its end, as an early export wrote
 * them, is as long as one that has them beside each; what is there instead can hardly be scales. */
static int check_scales(struct in *in, const char *name, uint64_t n)
{
    float s[SCALES_TRIED];
    const uint64_t some = weir_min_u64(n, SCALES_TRIED);
    int rc = weir_map_read(in->m, 0, in->pos, some * sizeof(*s), s, in->err);
    for (uint64_t i = 0; i < some && !rc; i++)
        if (!(s[i] >= 0 && s[i] < SCALE_MAX)) /* NaN too */
            rc = weir_fail(in->err, -EINVAL,
                           "%s: the scales of '%s' are not where llama2.c has them: export it "
                           "again with a newer one",
                           in->m->file[0].path, name);
    return rc;
}

/* The next tensor: a matrix; or a vector (ROWS of 0), which is of floats in every version. */
static int add(struct in *in, const char *name, uint64_t cols, uint64_t rows)
{
    const size_t stem = strlen(name) - strlen("weight");
    char scales[96];
    if (!rows || !in->h.group)
        return add_array(in, name, WEIR_DTYPE_F32, cols, rows);
    int rc = add_array(in, name, WEIR_DTYPE_I8, cols, rows);
    if (!rc && in->pos < in->m->file[0].bytes) /* else it is cut, as is said in the end */
        rc = check_scales(in, name,
                          weir_min_u64(cols / in->h.group * rows,
                                       (in->m->file[0].bytes - in->pos) / 4));
    snprintf(scales, sizeof(scales), "%.*sscales", (int)stem, name);
    return rc ? rc : add_array(in, scales, WEIR_DTYPE_F32, cols / in->h.group, rows);
}

/* One tensor for each layer. */
static int add_layers(struct in *in, const char *name, uint64_t cols, uint64_t rows)
{
    char full[96];
    int rc = 0;
    for (uint32_t i = 0; i < in->h.n_layer && !rc; i++) {
        snprintf(full, sizeof(full), "layers.%u.%s.weight", i, name);
        rc = add(in, full, cols, rows);
    }
    return rc;
}

static int add_attention(struct in *in)
{
    const uint64_t dim = in->h.dim, kv = dim / in->h.n_head * in->h.n_kv;
    int rc = add_layers(in, "attention.wq", dim, dim);
    if (!rc)
        rc = add_layers(in, "attention.wk", dim, kv);
    if (!rc)
        rc = add_layers(in, "attention.wv", dim, kv);
    return rc ? rc : add_layers(in, "attention.wo", dim, dim);
}

static int add_feed_forward(struct in *in)
{
    const uint64_t dim = in->h.dim, hidden = in->h.hidden;
    int rc = add_layers(in, "feed_forward.w1", dim, hidden);
    if (!rc)
        rc = add_layers(in, "feed_forward.w2", hidden, dim);
    return rc ? rc : add_layers(in, "feed_forward.w3", dim, hidden);
}

/* In the order of the file. */
static int add_v0(struct in *in)
{
    const uint64_t dim = in->h.dim, head = dim / in->h.n_head;
    in->pos = V0_BYTES;
    int rc = add(in, "tok_embeddings.weight", dim, in->h.n_vocab);
    if (!rc)
        rc = add_layers(in, "attention_norm", dim, 0);
    if (!rc)
        rc = add_attention(in);
    if (!rc)
        rc = add_layers(in, "ffn_norm", dim, 0);
    if (!rc)
        rc = add_feed_forward(in);
    if (!rc)
        rc = add(in, "norm.weight", dim, 0);
    in->pos += in->h.seq * head * sizeof(float); /* cosines and sines, half a head each */
    return rc;
}

static int add_v1(struct in *in)
{
    const uint64_t dim = in->h.dim;
    in->pos = V1_BYTES;
    int rc = add_layers(in, "attention_norm", dim, 0);
    if (!rc)
        rc = add_layers(in, "ffn_norm", dim, 0);
    if (!rc)
        rc = add(in, "norm.weight", dim, 0);
    if (!rc)
        rc = add(in, "tok_embeddings.weight", dim, in->h.n_vocab);
    if (!rc)
        rc = add_attention(in);
    return rc ? rc : add_feed_forward(in);
}

static int put_numbers(struct in *in)
{
    const struct {
        const char *key;
        uint64_t v;
    } whole[] = { { LLAMA("embedding_length"), in->h.dim },
                  { LLAMA("feed_forward_length"), in->h.hidden },
                  { LLAMA("block_count"), in->h.n_layer },
                  { LLAMA("attention.head_count"), in->h.n_head },
                  { LLAMA("attention.head_count_kv"), in->h.n_kv },
                  { LLAMA("context_length"), in->h.seq } };
    int rc = 0;
    for (size_t i = 0; i < sizeof(whole) / sizeof(*whole) && !rc; i++)
        rc = weir_map_put_u64(in->m, whole[i].key, whole[i].v, in->err);
    return rc ? rc
              : weir_map_put_f64(in->m, LLAMA("attention.layer_norm_rms_epsilon"), NORM_EPS,
                                 in->err);
}

static int check_version(const struct in *in, bool good)
{
    const char *path = in->m->file[0].path;
    if (in->h.version > 2)
        return weir_fail(in->err, -ENOTSUP,
                         "%s is a llama2.c model of version %u, this program reads 0, 1 and 2",
                         path, in->h.version);
    if (good && in->h.group && in->h.hidden % in->h.group)
        return weir_fail(in->err, -ENOTSUP,
                         "%s: groups of %u run across the rows of its w2, which have %u: weir does "
                         "not compute that",
                         path, in->h.group, in->h.hidden);
    return good ? 0
                : weir_fail(in->err, -EINVAL,
                            "%s begins as a llama2.c model, but its numbers are those of none: the "
                            "file is damaged",
                            path);
}

static int open_llama2c(struct weir_map *m, struct weir_err *err)
{
    uint8_t head[HEADER_BYTES] = { 0 };
    struct in in = { .m = m, .err = err };
    const uint64_t n = weir_min_u64(m->file[0].bytes, sizeof(head));
    int rc = weir_map_read(m, 0, 0, n, head, err);
    if (!rc)
        rc = check_version(&in, read_header(head, n, &in.h));
    if (!rc)
        rc = in.h.version ? add_v1(&in) : add_v0(&in);
    if (!rc && !in.h.shared)
        rc = add(&in, "output.weight", in.h.dim, in.h.n_vocab);
    if (!rc && in.pos != m->file[0].bytes)
        rc = weir_fail(err, in.h.version ? -EINVAL : -ENOTSUP,
                       "%s %s a llama2.c model of %u layers of %u, which has %llu bytes, but the "
                       "file has %llu",
                       m->file[0].path,
                       in.h.version ? "begins as" : "is of no known format; it could be",
                       in.h.n_layer, in.h.dim, (ull)in.pos, (ull)m->file[0].bytes);
    if (!rc)
        rc = put_numbers(&in);
    if (!rc)
        snprintf(m->format, sizeof(m->format), "llama2.c v%u", in.h.version);
    return rc;
}

static void first(const char *name, char *buf) { strcpy(buf, name); }

/* In a folder a ".bin" is a ".bin": PyTorch's entry of the table finds it. */
static int rank(const char *name)
{
    (void)name;
    return 0;
}

const struct weir_format weir_format_llama2c = { .name = "llama2.c",
                                                 .suffix = ".bin",
                                                 .bid = bid,
                                                 .open = open_llama2c,
                                                 .first = first,
                                                 .rank = rank };
