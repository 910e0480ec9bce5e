/* SPDX-License-Identifier: MIT
 *
 * Owns tensors that lie in several pieces.  A schedule wants whole rows that follow each other, so
 * the pieces become runs of whole rows, and a row that is cut between two of them is read here,
 * once, and held: at most one for each cut.  One thread while a map is opened; read-only after. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/map_edit.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <string.h>

/* Where the walk over the pieces is. */
struct walk {
    const struct weir_piece *piece;
    uint32_t n, i;
    uint64_t at; /* bytes of piece i behind us */
};

/* Step over what is used up, and over pieces of no bytes.  Bytes left in the piece; 0: no more. */
static uint64_t left(struct walk *w)
{
    while (w->i < w->n && w->at == w->piece[w->i].bytes) {
        w->i++;
        w->at = 0;
    }
    return w->i < w->n ? w->piece[w->i].bytes - w->at : 0;
}

/* The next N bytes to DST, from as many pieces as they lie in. */
static int gather(const struct weir_map *m, struct walk *w, uint64_t n, uint8_t *dst,
                  struct weir_err *err)
{
    while (n) {
        const uint64_t part = weir_min_u64(left(w), n);
        const struct weir_piece *p = &w->piece[w->i];
        const int rc = weir_map_read(m, p->file, p->offset + w->at, part, dst, err);
        if (rc)
            return rc;
        weir_map_drop(m, p->file, p->offset + w->at, part);
        w->at += part;
        dst += part;
        n -= part;
    }
    return 0;
}

/* The row at W, which is cut, into EX. */
static int hold(struct weir_map *m, const struct weir_tensor *t, struct walk *w, uint64_t row_bytes,
                struct weir_extent *ex, struct weir_err *err)
{
    if (row_bytes > WEIR_HELD_MAX - m->held_bytes)
        return weir_fail(err, -EINVAL,
                         "%s: tensor '%s' lies in %u pieces that cut its rows of %llu bytes, and "
                         "rows like that take more than %llu bytes",
                         m->file[ex->file].path, t->name, w->n, (unsigned long long)row_bytes,
                         (unsigned long long)WEIR_HELD_MAX);
    uint8_t *dst = weir_map_keep(m, row_bytes);
    if (!dst)
        return weir_fail(err, -ENOMEM, "%s: no memory for a row of tensor '%s'",
                         m->file[ex->file].path, t->name);
    m->held_bytes += row_bytes;
    ex->held = dst;
    ex->n_row = 1;
    return gather(m, w, row_bytes, dst, err);
}

int weir_map_place(struct weir_map *m, struct weir_tensor *t, const struct weir_piece *piece,
                   uint32_t n, struct weir_err *err)
{
    const uint64_t rows = weir_tensor_rows(t), row_bytes = t->bytes / rows;
    uint64_t sum = 0;
    bool over = false;
    for (uint32_t i = 0; i < n; i++)
        over |= weir_add_over(sum, piece[i].bytes, &sum);
    t->file = piece[0].file;
    t->offset = piece[0].offset;
    t->n_extent = 0;
    t->extent = NULL;
    if (over || sum != t->bytes)
        return weir_fail(
            err, -EINVAL,
            "%s: tensor '%s' has %llu bytes in %u piece%s, but its shape and type need "
            "%llu: the file is damaged",
            m->file[t->file].path, t->name, (unsigned long long)sum, n, n == 1 ? "" : "s",
            (unsigned long long)t->bytes);
    if (n == 1)
        return 0;
    /* A piece has one run at most, and a cut one row. */
    struct weir_extent *ex = weir_map_keep(m, 2 * (size_t)n * sizeof(*ex));
    if (!ex)
        return weir_fail(err, -ENOMEM, "%s: no memory for the %u pieces of tensor '%s'",
                         m->file[t->file].path, n, t->name);
    struct walk w = { piece, n, 0, 0 };
    uint32_t n_ex = 0;
    for (uint64_t row = 0, have; row < rows; row += ex[n_ex++].n_row) {
        have = left(&w);
        const struct weir_piece *p = &w.piece[w.i];
        ex[n_ex] = (struct weir_extent){
            .row = row, .n_row = have / row_bytes, .file = p->file, .offset = p->offset + w.at
        };
        if (ex[n_ex].n_row) {
            w.at += ex[n_ex].n_row * row_bytes;
            continue;
        }
        const int rc = hold(m, t, &w, row_bytes, &ex[n_ex], err);
        if (rc)
            return rc;
    }
    t->extent = ex;
    t->n_extent = n_ex;
    return 0;
}

void weir_tensor_row(const struct weir_tensor *t, uint64_t row, uint32_t *ret_file,
                     uint64_t *ret_offset, const uint8_t **ret_held)
{
    const uint64_t row_bytes = t->bytes / weir_tensor_rows(t);
    *ret_file = t->file;
    *ret_offset = t->offset + row * row_bytes;
    *ret_held = NULL;
    if (!t->n_extent)
        return;
    uint32_t lo = 0, hi = t->n_extent; /* extent[lo].row <= row < extent[hi].row */
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        *(t->extent[mid].row <= row ? &lo : &hi) = mid;
    }
    const struct weir_extent *ex = &t->extent[lo];
    *ret_file = ex->file;
    *ret_offset = ex->offset + (row - ex->row) * row_bytes;
    *ret_held = ex->held;
}

static int read_drop(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n,
                     uint8_t *dst, struct weir_err *err)
{
    const int rc = weir_map_read(m, file, offset, n, dst, err);
    weir_map_drop(m, file, offset, n);
    return rc;
}

/* The slices of T, each through a buffer of its own. */
static int read_slices(const struct weir_map *m, const struct weir_tensor *t, uint8_t *dst,
                       struct weir_err *err)
{
    const uint64_t rows = weir_tensor_rows(t), row_bytes = t->bytes / rows;
    uint64_t at = 0;
    for (uint32_t i = 0; i < t->n_slice; i++) {
        const struct weir_tensor *s = &t->slice[i];
        const uint64_t part = s->bytes / rows;
        uint8_t *buf = weir_alloc(WEIR_MEM_MISC, s->bytes, 1);
        if (!buf)
            return weir_fail(err, -ENOMEM, "%s: no memory for a part of tensor '%s'",
                             m->file[s->file].path, t->name);
        const int rc = read_drop(m, s->file, s->offset, s->bytes, buf, err);
        for (uint64_t r = 0; r < rows && !rc; r++)
            memcpy(dst + r * row_bytes + at, buf + r * part, part);
        weir_free(buf);
        if (rc)
            return rc;
        at += part;
    }
    return 0;
}

int weir_map_read_tensor(const struct weir_map *m, const struct weir_tensor *t, void *dst,
                         struct weir_err *err)
{
    const uint64_t row_bytes = t->bytes / weir_tensor_rows(t);
    if (t->n_slice)
        return read_slices(m, t, dst, err);
    if (!t->n_extent)
        return read_drop(m, t->file, t->offset, t->bytes, dst, err);
    for (uint32_t i = 0; i < t->n_extent; i++) {
        const struct weir_extent *ex = &t->extent[i];
        uint8_t *to = (uint8_t *)dst + ex->row * row_bytes;
        if (ex->held) {
            memcpy(to, ex->held, row_bytes);
            continue;
        }
        const int rc = read_drop(m, ex->file, ex->offset, ex->n_row * row_bytes, to, err);
        if (rc)
            return rc;
    }
    return 0;
}

int weir_map_view_rows(struct weir_map *m, const struct weir_tensor *t, uint64_t row,
                       uint64_t n_row, struct weir_tensor *ret, struct weir_err *err)
{
    const uint64_t rows = weir_tensor_rows(t), row_bytes = t->bytes / rows;
    struct weir_tensor v = *t;
    const uint8_t *held;
    if (t->n_slice)
        return weir_fail(err, -ENOTSUP,
                         "%s: tensor '%s' lies in %u parts of its columns, and some of its rows "
                         "are needed as a matrix: this is not supported",
                         m->file[t->file].path, t->name, t->n_slice);
    if (!n_row || row > rows || n_row > rows - row || t->dim[2] * t->dim[3] != 1)
        return weir_fail(err, -EINVAL,
                         "%s: tensor '%s' has %llu rows, but rows %llu to %llu of it "
                         "are needed",
                         m->file[t->file].path, t->name, (unsigned long long)rows,
                         (unsigned long long)row, (unsigned long long)(row + n_row - 1));
    v.n_dim = 2;
    v.dim[1] = n_row;
    v.bytes = n_row * row_bytes;
    v.role = NULL;
    weir_tensor_row(t, row, &v.file, &v.offset, &held);
    v.n_extent = 0;
    v.extent = NULL;
    if (t->n_extent) {
        struct weir_extent *ex = weir_map_keep(m, t->n_extent * sizeof(*ex));
        if (!ex)
            return weir_fail(err, -ENOMEM, "%s: no memory for a part of tensor '%s'",
                             m->file[t->file].path, t->name);
        for (uint32_t i = 0; i < t->n_extent; i++) {
            const struct weir_extent *from = &t->extent[i];
            const uint64_t first = weir_max_u64(from->row, row);
            const uint64_t end = weir_min_u64(from->row + from->n_row, row + n_row);
            if (first >= end)
                continue;
            ex[v.n_extent] = *from;
            ex[v.n_extent].offset += (first - from->row) * row_bytes;
            ex[v.n_extent].row = first - row;
            ex[v.n_extent++].n_row = end - first;
        }
        v.extent = ex;
    }
    *ret = v;
    return 0;
}
