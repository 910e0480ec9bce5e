/* SPDX-License-Identifier: MIT
 * Owns the words of `weir bench`: table, JSON, CSV.  One thread. */
#include "config.h"

#include "src/cmd/bench_report.h"

#include "base/num.h"
#include "kernels/kernels.h"
#include "src/cmd/cmd.h"

const char *const weir_bound_names[WEIR_BOUND_COUNT] = { "disk", "bus", "memory", "compute" };

bool weir_bench_bound(const struct weir_bench_row *r, enum weir_bound *ret, double *ret_tok_per_s)
{
    double least = 0;
    if (r->planned && !r->fits && !r->limit[WEIR_BOUND_DISK].n)
        return false;
    for (int i = 0; i < WEIR_BOUND_COUNT; i++) {
        const double v = weir_series_median(&r->limit[i]);
        if (v > 0 && (least == 0 || v < least)) {
            least = v;
            *ret = (enum weir_bound)i;
        }
    }
    *ret_tok_per_s = least;
    return least > 0;
}

void weir_bench_test_name(const struct weir_bench_row *r, char *buf, size_t n)
{
    if (r->prefill)
        snprintf(buf, n, "pp%u", r->prefill);
    else if (r->depth)
        snprintf(buf, n, "tg%u@d%u", r->decode, r->depth);
    else
        snprintf(buf, n, "tg%u", r->decode);
}

static weir_json *row_json(const struct weir_bench_combo *c, const struct weir_bench_row *r)
{
    char name[48];
    enum weir_bound bound = WEIR_BOUND_DISK;
    double limit;
    weir_json *o = weir_json_object();
    weir_bench_test_name(r, name, sizeof(name));
    weir_json_add_str(o, "test", name);
    weir_json_add_num(o, "prefill_tokens", r->prefill);
    weir_json_add_num(o, "decode_tokens", r->decode);
    weir_json_add_num(o, "depth", r->depth);
    if (c->budget_bytes)
        weir_json_add_num(o, "budget_bytes", (double)c->budget_bytes);
    weir_json_add_num(o, "threads", c->threads);
    weir_json_add_str(o, "io_asked", c->io_asked);
    if (r->planned)
        weir_json_add_str(o, "io", r->io);
    weir_json_add_str(o, "status", r->failure ? r->failure : r->rate.n ? "ok" : "not measured");
    if (r->failure)
        weir_json_add_str(o, "error", r->sentence);
    if (r->smallest_budget_bytes)
        weir_json_add_num(o, "smallest_budget_bytes", (double)r->smallest_budget_bytes);
    if (r->planned) {
        weir_json_add_bool(o, "fits", r->fits);
        weir_json_add_num(o, "pinned_bytes", (double)r->pinned_bytes);
        weir_json_add_num(o, "streamed_bytes_per_pass", (double)r->streamed_bytes);
        weir_json_add_num(o, "ctx", r->ctx);
        weir_json_add_num(o, "chunk", r->chunk);
    }
    if (c->vram_bytes)
        weir_json_add_str(o, "device", r->planned && !r->vram_budget_bytes ? "cpu" : "cuda");
    if (r->vram_budget_bytes) {
        weir_json_add_num(o, "vram_budget_bytes", (double)r->vram_budget_bytes);
        weir_json_add_num(o, "vram_used_bytes", (double)r->vram_used_bytes);
        weir_json_add_num(o, "vram_pinned_bytes", (double)r->vram_pinned_bytes);
        weir_json_add_num(o, "bus_bytes_per_pass", (double)r->bus_bytes);
    }
    if (r->smallest_vram_bytes)
        weir_json_add_num(o, "smallest_vram_bytes", (double)r->smallest_vram_bytes);
    weir_series_json(&r->rate, o, "tok_per_s");
    weir_series_json(&r->seconds, o, "seconds");
    if (r->rate.n && weir_bench_bound(r, &bound, &limit)) {
        weir_json_add_str(o, "bound", weir_bound_names[bound]);
        weir_json_add_num(o, "bound_tok_per_s", limit);
        weir_json_add_num(o, "fraction", weir_series_median(&r->rate) / limit);
    }
    for (int i = 0; i < WEIR_BOUND_COUNT; i++)
        if (r->limit[i].n) {
            snprintf(name, sizeof(name), "%s_tok_per_s", weir_bound_names[i]);
            weir_json_add_num(o, name, weir_series_median(&r->limit[i]));
        }
    if (r->hidden.n) {
        weir_json_add_num(o, "hidden", weir_series_median(&r->hidden));
        weir_json_add_num(o, "disk_duty", weir_series_median(&r->duty));
    }
    if (r->bus_duty.n)
        weir_json_add_num(o, "bus_duty", weir_series_median(&r->bus_duty));
    if (r->ratio.n)
        weir_json_add_num(o, "baseline_ratio", weir_series_median(&r->ratio));
    return o;
}

static weir_json *baseline_json(const struct weir_bench *b)
{
    weir_json *o = weir_json_object();
    weir_json_add_str(o, "test", "baseline");
    weir_json_add_str(o, "command", b->args->baseline);
    weir_json_add_str(o, "status",
                      b->base_failed      ? "failed"
                      : b->base_seconds.n ? "ok"
                                          : "not measured");
    if (b->base_failed)
        weir_json_add_str(o, "error", b->base_sentence);
    weir_series_json(&b->base_rate, o, "tok_per_s");
    weir_series_json(&b->base_seconds, o, "seconds");
    return o;
}

static weir_json *rows_json(const struct weir_bench *b)
{
    weir_json *rows = weir_json_array();
    for (unsigned i = 0; i < b->n_combo; i++)
        for (unsigned k = 0; k < b->n_row; k++)
            weir_json_push(rows, row_json(&b->combos[i], &b->combos[i].rows[k]));
    return rows;
}

static int print_json(const struct weir_bench *b, bool interrupted)
{
    weir_json *o = weir_json_object(), *list = weir_json_array();
    weir_json_add_str(o, "version", PACKAGE_VERSION);
    weir_json_add_str(o, "model", b->args->model);
    weir_json_add_str(o, "arch", b->model.arch);
    weir_json_add_num(o, "matmul_bytes", (double)b->model.matmul_bytes);
    weir_json_add_str(o, "kernels", weir_kernels()->name);
    weir_json_add_num(o, "cpus", b->n_cpu);
    weir_json_add_num(o, "reps", (double)b->args->reps);
    weir_json_add_bool(o, "interrupted", interrupted);
    weir_series_json(&b->disk, o, "disk_bytes_per_s");
    if (b->gpu_name[0]) {
        weir_json_add_str(o, "gpu", b->gpu_name);
        weir_series_json(&b->bus, o, "bus_bytes_per_s");
        weir_series_json(&b->vram, o, "vram_bytes_per_s");
    }
    for (unsigned i = 0; i < b->n_threads; i++) {
        weir_json *t = weir_json_object();
        weir_json_add_num(t, "threads", b->threads[i].n);
        weir_series_json(&b->threads[i].memory, t, "bytes_per_s");
        weir_json_push(list, t);
    }
    weir_json_add(o, "memory", list);
    weir_json_add(o, "rows", rows_json(b));
    if (b->args->baseline)
        weir_json_add(o, "baseline", baseline_json(b));
    return weir_cmd_print_json(o);
}

static int print_csv(const struct weir_bench *b)
{
    static const char *const columns[] = { "test",
                                           "prefill_tokens",
                                           "decode_tokens",
                                           "depth",
                                           "budget_bytes",
                                           "threads",
                                           "io",
                                           "status",
                                           "tok_per_s",
                                           "tok_per_s_min",
                                           "tok_per_s_max",
                                           "seconds",
                                           "seconds_min",
                                           "seconds_max",
                                           "bound",
                                           "bound_tok_per_s",
                                           "fraction",
                                           "disk_tok_per_s",
                                           "memory_tok_per_s",
                                           "compute_tok_per_s",
                                           "hidden",
                                           "disk_duty",
                                           "pinned_bytes",
                                           "streamed_bytes_per_pass",
                                           "ctx",
                                           "chunk",
                                           "device",
                                           "vram_budget_bytes",
                                           "vram_used_bytes",
                                           "vram_pinned_bytes",
                                           "bus_bytes_per_pass",
                                           "bus_tok_per_s",
                                           "bus_duty",
                                           "baseline_ratio",
                                           "error",
                                           "command",
                                           NULL };
    weir_json *rows = rows_json(b);
    if (b->args->baseline)
        weir_json_push(rows, baseline_json(b));
    weir_csv_print(rows, columns, stdout);
    weir_json_free(rows);
    return weir_cmd_flush();
}

static void head(const struct weir_bench *b)
{
    char size[WEIR_SIZE_STR], name[WEIR_RATE_NAME];
    bool first = true;
    printf("model    %s%s%s, %s a pass (", b->model.arch, b->model.name[0] ? " " : "",
           b->model.name, weir_size_format(b->model.matmul_bytes, size, sizeof(size)));
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        if (b->model.bytes[i]) {
            printf("%s%s", first ? "" : ", ", weir_rate_name(i, name));
            first = false;
        }
    printf(")\nmachine  %u CPU%s, %s kernels", b->n_cpu, b->n_cpu == 1 ? "" : "s",
           weir_kernels()->name);
    if (b->disk.n)
        printf("; disk %.2f GB/s", weir_series_median(&b->disk) / 1e9);
    for (unsigned i = 0; i < b->n_threads && b->threads[i].memory.n; i++)
        printf("%s%.1f GB/s by %u thread%s", i ? ", " : "; memory ",
               weir_series_median(&b->threads[i].memory) / 1e9, b->threads[i].n,
               b->threads[i].n == 1 ? "" : "s");
    if (b->gpu_name[0])
        printf("\ngpu      %s", b->gpu_name);
    if (b->bus.n)
        printf("; bus %.2f GB/s", weir_series_median(&b->bus) / 1e9);
    if (b->vram.n)
        printf("; memory %.1f GB/s", weir_series_median(&b->vram) / 1e9);
    printf("\n\n");
}

static void percent(struct weir_table *t, bool known, double part)
{
    if (known)
        weir_table_cell(t, "%.0f %%", 100 * part);
    else
        weir_table_cell(t, "-");
}

static void vram_cell(struct weir_table *t, const struct weir_bench_combo *c,
                      const struct weir_bench_row *r)
{
    char text[WEIR_SIZE_STR];
    const uint64_t bytes = r->vram_budget_bytes ? r->vram_budget_bytes : c->vram_bytes;
    if (!c->vram_bytes || (r->planned && !r->vram_budget_bytes))
        weir_table_cell(t, "-");
    else
        weir_table_cell(t, "%s",
                        bytes == WEIR_VRAM_AUTO ? "auto"
                                                : weir_size_format(bytes, text, sizeof(text)));
}

/* GPU: some setting has one. */
static void table_row(struct weir_table *t, const struct weir_bench_combo *c,
                      const struct weir_bench_row *r, bool gpu)
{
    char text[48];
    enum weir_bound bound = WEIR_BOUND_DISK;
    double limit;
    const bool streams = r->planned && (!r->fits || r->bus_bytes);
    weir_table_row(t, r->failure ? r->sentence : r->rate.n ? NULL : "not measured");
    weir_bench_test_name(r, text, sizeof(text));
    weir_table_cell(t, "%s", text);
    weir_table_cell(t, "%s",
                    c->budget_bytes ? weir_size_format(c->budget_bytes, text, sizeof(text))
                                    : "auto");
    if (gpu)
        vram_cell(t, c, r);
    weir_table_cell(t, "%u", c->threads);
    weir_table_cell(t, "%s", r->planned ? r->io : c->io_asked);
    if (!r->rate.n || r->failure)
        return;
    weir_table_cell(t, "%s",
                    r->fits ? "-" : weir_size_format(r->streamed_bytes, text, sizeof(text)));
    if (gpu)
        weir_table_cell(t, "%s",
                        r->bus_bytes ? weir_size_format(r->bus_bytes, text, sizeof(text)) : "-");
    weir_table_cell(t, "%.2f", weir_series_median(&r->rate));
    weir_table_cell(t, "%.2f..%.2f", weir_series_min(&r->rate), weir_series_max(&r->rate));
    if (weir_bench_bound(r, &bound, &limit)) {
        weir_table_cell(t, "%s", weir_bound_names[bound]);
        weir_table_cell(t, "%.2f", limit);
        percent(t, true, weir_series_median(&r->rate) / limit);
    } else {
        for (int i = 0; i < 3; i++)
            weir_table_cell(t, "-");
    }
    percent(t, streams, weir_series_median(&r->hidden));
    percent(t, streams, weir_series_median(&r->duty));
    if (r->ratio.n)
        weir_table_cell(t, "%.2f x", weir_series_median(&r->ratio));
}

static int print_table(const struct weir_bench *b)
{
    /* In the place of NULL: columns of a GPU. */
    static const char *const titles[] = { "test",    "budget",  NULL,     "threads",  "io",
                                          "streams", NULL,      "tok/s",  "min..max", "bound",
                                          "tok/s",   "reached", "hidden", "duty" };
    static const char *const gpu_titles[] = { [2] = "vram", [6] = "bus" };
    struct weir_table t;
    bool gpu = false;
    for (unsigned i = 0; i < b->n_combo; i++)
        gpu |= b->combos[i].vram_bytes != 0;
    head(b);
    weir_table_init(&t, gpu ? 1u << 0 | 1u << 4 | 1u << 9 : 1u << 0 | 1u << 3 | 1u << 7);
    weir_table_row(&t, NULL);
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i] || gpu)
            weir_table_cell(&t, "%s", titles[i] ? titles[i] : gpu_titles[i]);
    if (b->base_rate.n)
        weir_table_cell(&t, "baseline");
    for (unsigned i = 0; i < b->n_combo; i++)
        for (unsigned k = 0; k < b->n_row; k++)
            table_row(&t, &b->combos[i], &b->combos[i].rows[k], gpu);
    weir_table_print(&t, stdout);
    weir_table_done(&t);
    if (b->args->baseline) {
        printf("\nbaseline  ");
        if (b->base_failed)
            printf("failed, %s", b->base_sentence);
        else if (b->base_seconds.n)
            printf("%.2f s (%.2f..%.2f)", weir_series_median(&b->base_seconds),
                   weir_series_min(&b->base_seconds), weir_series_max(&b->base_seconds));
        else
            printf("not measured");
        if (b->base_rate.n)
            printf(", %.2f tok/s (%.2f..%.2f)", weir_series_median(&b->base_rate),
                   weir_series_min(&b->base_rate), weir_series_max(&b->base_rate));
        printf(": %s\n", b->args->baseline);
    }
    return weir_cmd_flush();
}

int weir_bench_report(const struct weir_bench *b, bool interrupted)
{
    return b->args->json  ? print_json(b, interrupted)
           : b->args->csv ? print_csv(b)
                          : print_table(b);
}
