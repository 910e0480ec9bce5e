/* SPDX-License-Identifier: MIT
 * Owns `weir inspect`: what is in a model file, without reading its weights. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "mmap/map.h"
#include "mmap/meta.h"
#include "src/cmd/cmd.h"
#include "src/cmd/progress.h"
#include "src/model/bind.h"
#include "src/model/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOW_BYTES 60 /* of a string, for people */

static void print_text(const char *p, uint64_t n)
{
    char *s = weir_utf8_clean(p, n < SHOW_BYTES ? n : SHOW_BYTES);
    putchar('"');
    for (const char *c = s ? s : ""; *c; c++) /* a file must not drive the terminal */
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
    printf(n > SHOW_BYTES ? "...\" (%" PRIu64 " bytes)" : "\"", n);
    free(s);
}

static void print_value(const struct weir_meta *m)
{
    switch (m->type) {
    case WEIR_META_U64: printf("%" PRIu64, m->v.u64); break;
    case WEIR_META_I64: printf("%" PRId64, m->v.i64); break;
    case WEIR_META_F64: printf("%g", m->v.f64); break;
    case WEIR_META_BOOL: printf("%s", m->v.b ? "true" : "false"); break;
    case WEIR_META_STR: print_text(m->v.str.p, m->v.str.n); break;
    case WEIR_META_ARRAY: printf("array of %" PRIu64, m->v.arr.n); break;
    }
}

static weir_json *meta_json(const struct weir_map *map)
{
    weir_json *o = weir_json_object();
    for (uint32_t i = 0; i < weir_meta_count(map); i++) {
        const struct weir_meta *m = weir_meta_at(map, i);
        weir_json *arr;
        switch (m->type) {
        case WEIR_META_U64: weir_json_add_num(o, m->key, (double)m->v.u64); break;
        case WEIR_META_I64: weir_json_add_num(o, m->key, (double)m->v.i64); break;
        case WEIR_META_F64: weir_json_add_num(o, m->key, m->v.f64); break;
        case WEIR_META_BOOL: weir_json_add_bool(o, m->key, m->v.b); break;
        case WEIR_META_STR: weir_json_add_strn(o, m->key, m->v.str.p, m->v.str.n); break;
        case WEIR_META_ARRAY: /* vocabularies are long: their length is what is asked for here */
            arr = weir_json_object();
            weir_json_add_num(arr, "array_of", (double)m->v.arr.n);
            weir_json_add(o, m->key, arr);
            break;
        }
    }
    return o;
}

static weir_json *tensor_json(const struct weir_map *map, const struct weir_tensor *t)
{
    weir_json *o = weir_json_object(), *shape = weir_json_array();
    weir_json_add_str(o, "name", t->name);
    if (t->role)
        weir_json_add_str(o, "role", t->role);
    weir_json_add_str(o, "dtype", weir_tensor_type(t));
    for (uint32_t d = 0; d < t->n_dim; d++)
        weir_json_push_num(shape, (double)t->dim[d]);
    weir_json_add(o, "shape", shape);
    weir_json_add_str(o, "file", weir_map_file(map, t->file)->path);
    weir_json_add_num(o, "offset", (double)t->offset);
    weir_json_add_num(o, "bytes", (double)t->bytes);
    if (t->n_extent) /* not one run of bytes from `offset` on */
        weir_json_add_num(o, "extents", t->n_extent);
    if (t->n_slice) /* nor that: columns in as many files */
        weir_json_add_num(o, "slices", t->n_slice);
    return o;
}

struct dtype_sum {
    uint64_t n, bytes, elems;
};

/* Dtypes, and behind them the ways of packing. */
#define KINDS (WEIR_DTYPE_COUNT + WEIR_SCHEME_COUNT)

static const char *kind_name(int kind)
{
    return kind < WEIR_DTYPE_COUNT ? weir_dtype_info((enum weir_dtype)kind)->name
                                   : weir_scheme_name((enum weir_scheme)(kind - WEIR_DTYPE_COUNT));
}

static void sum_dtypes(const struct weir_map *map, struct dtype_sum sums[KINDS],
                       uint64_t *ret_params)
{
    *ret_params = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(map); i++) {
        const struct weir_tensor *t = weir_map_tensor(map, i);
        struct dtype_sum *s =
            &sums[t->packing ? WEIR_DTYPE_COUNT + (int)t->packing->scheme : (int)t->dtype];
        s->n++;
        s->bytes += t->bytes;
        s->elems += weir_tensor_cols(t) * weir_tensor_rows(t);
        *ret_params += weir_tensor_cols(t) * weir_tensor_rows(t);
    }
}

static void print_people(const struct weir_map *map, bool tensors, const struct weir_err *why_not)
{
    struct dtype_sum sums[KINDS] = { { 0 } };
    char a[WEIR_SIZE_STR];
    uint64_t params;
    sum_dtypes(map, sums, &params);
    printf("%s, %s in %u file%s, %u tensors, %.2f billion parameters\n", weir_map_format(map),
           weir_size_format(weir_map_bytes(map), a, sizeof(a)), weir_map_n_file(map),
           weir_map_n_file(map) == 1 ? "" : "s", weir_map_n_tensor(map), (double)params / 1e9);
    printf("%s%s\n\n", why_not->msg[0] ? "weir cannot run it: " : "weir can run it", why_not->msg);
    for (uint32_t i = 0; i < weir_meta_count(map); i++) {
        const struct weir_meta *m = weir_meta_at(map, i);
        printf("  %-44s ", m->key);
        print_value(m);
        putchar('\n');
    }
    printf("\n  %-10s %8s %12s\n", "dtype", "tensors", "size");
    for (int d = 0; d < KINDS; d++)
        if (sums[d].n)
            printf("  %-10s %8" PRIu64 " %12s\n", kind_name(d), sums[d].n,
                   weir_size_format(sums[d].bytes, a, sizeof(a)));
    if (!tensors)
        return;
    putchar('\n');
    for (uint32_t i = 0; i < weir_map_n_tensor(map); i++) {
        const struct weir_tensor *t = weir_map_tensor(map, i);
        printf("  %-36s %-8s ", t->name, weir_tensor_type(t));
        for (uint32_t d = 0; d < t->n_dim; d++)
            printf("%s%" PRIu64, d ? " x " : "", t->dim[d]);
        printf(", %s at %" PRIu64, weir_size_format(t->bytes, a, sizeof(a)), t->offset);
        if (t->n_extent)
            printf(" in %" PRIu32 " runs", t->n_extent);
        if (t->n_slice)
            printf(" in %" PRIu32 " slices", t->n_slice);
        if (t->role) /* the name weir computes with */
            printf(" = %s", t->role);
        putchar('\n');
    }
}

static int print_json(const struct weir_map *map, const struct weir_args *a,
                      const struct weir_err *why_not)
{
    struct dtype_sum sums[KINDS] = { { 0 } };
    uint64_t params;
    weir_json *o = weir_json_object(), *types = weir_json_object(), *list = weir_json_array();
    sum_dtypes(map, sums, &params);
    weir_json_add_str(o, "model", a->model);
    weir_json_add_str(o, "format", weir_map_format(map));
    weir_json_add_num(o, "files", weir_map_n_file(map));
    weir_json_add_num(o, "bytes", (double)weir_map_bytes(map));
    weir_json_add_num(o, "parameters", (double)params);
    weir_json_add_bool(o, "runs", !why_not->msg[0]);
    if (why_not->msg[0])
        weir_json_add_str(o, "why_not", why_not->msg);
    weir_json_add(o, "metadata", meta_json(map));
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        if (sums[d].n)
            weir_json_add_num(types, weir_dtype_info((enum weir_dtype)d)->name,
                              (double)sums[d].bytes);
    weir_json_add(o, "dtype_bytes", types);
    for (uint32_t i = 0; i < weir_map_n_tensor(map); i++)
        weir_json_push(list, tensor_json(map, weir_map_tensor(map, i)));
    weir_json_add(o, "tensors", list);
    return weir_cmd_print_json(o);
}

struct verify {
    struct weir_progress progress;
    uint64_t done, total;
};

static void on_bytes(void *arg, uint64_t n)
{
    struct verify *v = arg;
    v->done += n;
    weir_progress_show(&v->progress, "checking", v->done, v->total, "B");
}

/* The sums that MAP carries.  The exit status. */
static int verify(const struct weir_map *map, const struct weir_args *a)
{
    struct verify v = { .total = weir_map_verify_bytes(map) };
    struct weir_err err = { 0 };
    char text[WEIR_SIZE_STR];
    if (!v.total) {
        fprintf(stderr, "%s carries no sums that could be checked\n", a->model);
        return 0;
    }
    weir_progress_init(&v.progress, a->quiet);
    const int r = weir_map_verify(map, on_bytes, &v, &err);
    weir_progress_wipe(&v.progress);
    if (r < 0)
        return weir_cmd_error(&err);
    if (!a->quiet)
        fprintf(stderr, "%s: the sums over %s are right\n", a->model,
                weir_size_format(v.total, text, sizeof(text)));
    return 0;
}

static int run(const struct weir_args *a)
{
    struct weir_map *map = NULL;
    struct weir_model model;
    struct weir_err err = { 0 }, why_not = { 0 };
    int status;
    if (weir_map_open(a->model, &map, &err) < 0)
        return weir_cmd_error(&err);
    if (!weir_source_adapt(map, &why_not) && !weir_model_bind(map, &model, &why_not))
        weir_model_done(&model);
    if (a->json) {
        status = print_json(map, a, &why_not);
    } else {
        print_people(map, a->tensors, &why_not);
        status = weir_cmd_flush();
    }
    if (a->verify && !status)
        status = verify(map, a);
    weir_map_close(map);
    return status;
}

const struct weir_cmd weir_inspect_cmd = {
    .name = "inspect",
    .bit = WEIR_CMD_INSPECT,
    .usage = "[MODEL]",
    .help = "say what is in a model file",
    .run = run,
};
