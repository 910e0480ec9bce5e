/* SPDX-License-Identifier: MIT
 *
 * Owns `weir selftest --cuda`: whether a GPU computes what the scalar kernels do, one line for each
 * operation.  Errors of products are relative to the sum of |w| |x| of the result, errors of other
 * operations to the largest value of the result; what no float is computed for must be equal. */
#include "config.h"

#include "base/num.h"
#include "src/cmd/cmd.h"
#include "src/cmd/selftest.h"

#include <stdio.h>

struct report {
    bool json, quiet;
    unsigned n_line;
    weir_json *rows;
};

static bool is_good(const struct weir_selftest_line *l)
{
    return !l->complaint && l->worst <= l->bound;
}

/* As each line is known: on a GPU in doubt, the last one says how far it went. */
static void report(void *arg, const struct weir_selftest_line *l)
{
    struct report *r = arg;
    r->n_line++;
    if (r->json) {
        weir_json *o = weir_json_object();
        weir_json_add_str(o, "operation", l->name);
        weir_json_add_num(o, "cases", l->n_case);
        weir_json_add_num(o, "error", l->worst);
        weir_json_add_num(o, "bound", l->bound);
        weir_json_add_bool(o, "ok", is_good(l));
        if (l->complaint)
            weir_json_add_str(o, "complaint", l->complaint);
        weir_json_push(r->rows, o);
        return;
    }
    if (r->quiet && is_good(l))
        return;
    printf("%-46s %4u  %8.1e  %8.1e  %s%s%s\n", l->name, l->n_case, l->worst, l->bound,
           is_good(l) ? "ok" : "WRONG", l->complaint ? ": " : "", l->complaint ? l->complaint : "");
    fflush(stdout);
}

static int tests(struct weir_selftest *t, struct weir_err *err)
{
    int (*const all[])(struct weir_selftest *, struct weir_err *) = {
        weir_selftest_order, weir_selftest_rows,   weir_selftest_attend,
        weir_selftest_mul,   weir_selftest_packed, weir_selftest_fused,
    };
    int r = weir_selftest_init(t, err);
    for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        r = all[i](t, err);
    weir_selftest_done(t);
    return r;
}

static void print_head(const struct weir_args *a, const struct weir_cuda_info *info)
{
    char total[WEIR_SIZE_STR], left[WEIR_SIZE_STR];
    printf("GPU %lld: %s, compute capability %d.%d, %u multiprocessors, %s, %s free\n\n",
           (long long)a->gpu, info->name, info->major, info->minor, info->n_sm,
           weir_size_format(info->total_bytes, total, sizeof(total)),
           weir_size_format(info->free_bytes, left, sizeof(left)));
    printf("%-46s cases     error     bound\n", "operation");
}

static int finish(const struct weir_args *a, const struct weir_selftest *t, struct report *rep,
                  const struct weir_cuda_info *info)
{
    if (a->json) {
        weir_json *o = weir_json_object();
        weir_json_add_str(o, "version", PACKAGE_VERSION);
        weir_json_add_str(o, "gpu", info->name);
        weir_json_add_num(o, "wrong", t->n_bad);
        weir_json_add(o, "rows", rep->rows);
        const int r = weir_cmd_print_json(o);
        return r ? r : t->n_bad != 0;
    }
    if (!rep->n_line)
        return weir_cmd_usage("selftest", "no operation has the text of --only in its name");
    if (t->n_bad)
        printf("\n%u of %u are wrong\n", t->n_bad, rep->n_line);
    else if (!a->quiet)
        printf("\nall %u are right\n", rep->n_line);
    const int r = weir_cmd_flush();
    return r ? r : t->n_bad != 0;
}

static int run(const struct weir_args *a)
{
    const struct weir_cuda_ops *ops = weir_cuda_ops();
    struct weir_cuda_info info = { 0 };
    struct weir_err err = { 0 };
    struct report rep = { .json = a->json, .quiet = a->quiet };
    struct weir_selftest t = { .ops = ops, .report = report, .arg = &rep, .only = a->only };

    if (!a->cuda)
        return weir_cmd_usage("selftest", "which part? there is one: --cuda");
    if (ops->info((int)a->gpu, &info, &err) < 0 || ops->open((int)a->gpu, &t.g, &err) < 0)
        return weir_cmd_error(&err);
    if (a->json)
        rep.rows = weir_json_array();
    else if (!a->quiet)
        print_head(a, &info);
    const int r = tests(&t, &err);
    ops->close(t.g);
    if (r < 0) {
        weir_json_free(rep.rows);
        weir_cmd_flush();
        return weir_cmd_error(&err);
    }
    return finish(a, &t, &rep, &info);
}

const struct weir_cmd weir_selftest_cmd = {
    .name = "selftest",
    .bit = WEIR_CMD_SELFTEST,
    .usage = "--cuda",
    .help = "compare what a GPU computes with the scalar kernels",
    .run = run,
};
