/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of embedding rows.  The disk is busy with reads of megabytes, so a row waits its
 * turn; all rows of a chunk are asked for at once.  A packed table has the scales of its rows in an
 * array of their own: a row is then two small reads. */
#include "config.h"

#include "src/model/embed.h"

#include "base/clock.h"
#include "kernels/packed.h"

#include <errno.h>

#define PIECES WEIR_SLICE_MAX /* of a row, at most */

/* Some bytes of a row: where they lie, and they themselves when they are in memory already. */
struct piece {
    uint64_t size; /* bytes */
    const uint8_t *bytes;
    uint32_t file;
    uint64_t offset;
};

/* Bytes of the pieces a row of M's table is made of; how many pieces. */
static int sizes_of(const struct weir_model *m, uint64_t size[PIECES])
{
    const struct weir_tensor *t = m->embd;
    const uint64_t rows = weir_tensor_rows(t);
    for (uint32_t i = 0; i < t->n_slice; i++)
        size[i] = t->slice[i].bytes / rows;
    if (t->n_slice)
        return (int)t->n_slice;
    size[0] = t->packing ? t->packing->line_bytes : t->bytes / rows;
    size[1] = t->packing ? t->packing->aux_bytes[WEIR_AUX_SCALE] / rows : 0;
    return size[1] ? 2 : 1;
}

uint64_t weir_embed_bytes(const struct weir_model *m)
{
    uint64_t size[PIECES], sum = 0;
    for (int i = 0, n = sizes_of(m, size); i < n; i++)
        sum += size[i];
    return sum;
}

/* The pieces of row TOKEN; how many. */
static int pieces_of(const struct weir_pass *p, uint32_t token, struct piece ret[PIECES])
{
    const struct weir_tensor *t = p->model->embd;
    uint64_t size[PIECES];
    const int n = sizes_of(p->model, size);
    for (int i = 0; i < n; i++) {
        struct piece *c = &ret[i];
        const struct weir_tensor *of = t->n_slice ? &t->slice[i] : i ? t->aux[WEIR_AUX_SCALE] : t;
        c->size = size[i];
        if (t->packing || t->n_slice) {
            c->bytes = NULL;
            c->file = of->file;
            c->offset = of->offset + token * c->size;
        } else {
            weir_tensor_row(t, token, &c->file, &c->offset, &c->bytes);
        }
        const uint8_t *base = p->files[c->file].base; /* set when the file is mapped */
        if (!c->bytes && base)
            c->bytes = base + c->offset;
    }
    return n;
}

static int embed_row(struct weir_pass *p, uint32_t token, float *x, uint8_t *mem,
                     struct weir_err *err)
{
    const struct weir_model *m = p->model;
    const struct weir_tensor *t = m->embd;
    struct piece c[PIECES];
    for (int i = 0, n = pieces_of(p, token, c); i < n; i++) {
        if (c[i].bytes)
            continue;
        const uint64_t t0 = weir_now_ns();
        const int r = weir_map_read(m->map, c[i].file, c[i].offset, c[i].size, mem, err);
        p->clocks.stall += weir_now_ns() - t0;
        if (r < 0)
            return r;
        c[i].bytes = mem;
        mem += c[i].size;
    }
    if (t->packing) /* a matrix of this one row */
        weir_packed_row(&(struct weir_packed){ .p = t->packing, .aux = { c[1].bytes } }, c[0].bytes,
                        0, x);
    else
        p->kern->type[t->dtype].dequant(c[0].bytes, x,
                                        t->n_slice ? weir_tensor_cols(t->slice) : m->cfg.n_embd);
    for (uint32_t i = 1; i < t->n_slice; i++)
        p->kern->type[t->dtype].dequant(c[i].bytes, x + t->slice[i].col,
                                        weir_tensor_cols(&t->slice[i]));
    for (uint32_t j = 0; m->cfg.embd_scale != 1 && j < m->cfg.n_embd; j++)
        x[j] *= m->cfg.embd_scale;
    return 0;
}

int weir_embed(struct weir_pass *p, const uint32_t *tokens, uint32_t n_tok, float *x, uint8_t *row,
               struct weir_err *err)
{
    const struct weir_model *m = p->model;
    struct piece c[PIECES];
    for (uint32_t i = 0; i < n_tok; i++) {
        if (tokens[i] >= m->cfg.n_vocab)
            return weir_fail(err, -EINVAL, "token %u is outside the vocabulary of %u", tokens[i],
                             m->cfg.n_vocab);
        for (int k = 0, n = n_tok > 1 ? pieces_of(p, tokens[i], c) : 0; k < n; k++)
            if (!c[k].bytes)
                weir_map_want(m->map, c[k].file, c[k].offset, c[k].size);
    }
    for (uint32_t i = 0; i < n_tok; i++) {
        const int r = embed_row(p, tokens[i], x + (uint64_t)i * m->cfg.n_embd, row, err);
        if (r < 0)
            return r;
    }
    for (uint32_t i = 0; i < n_tok; i++)
        for (int k = 0, n = pieces_of(p, tokens[i], c); k < n; k++)
            if (!c[k].bytes)
                weir_map_drop(m->map, c[k].file, c[k].offset, c[k].size);
    return 0;
}
