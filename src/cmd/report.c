/* SPDX-License-Identifier: MIT
 * Owns the words and names figures go by.  Engine thread. */
#include "config.h"

#include "src/cmd/report.h"

#include "base/num.h"
#include "src/cmd/report_gpu.h"

#include <inttypes.h>
#include <stdio.h>

void weir_report_plan_json(weir_json *o, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    const struct weir_config *c = &e->model.cfg;
    weir_json_add_str(o, "model", e->opts.path);
    weir_json_add_str(o, "arch", c->arch);
    weir_json_add_num(o, "budget_bytes", (double)p->budget_bytes);
    weir_json_add_num(o, "smallest_budget_bytes", (double)p->smallest_budget_bytes);
    weir_json_add_bool(o, "fits", p->fits);
    weir_json_add_num(o, "matmul_bytes", (double)p->matmul_bytes);
    weir_json_add_num(o, "pinned_bytes", (double)p->pinned_bytes);
    weir_json_add_num(o, "ring_bytes", (double)p->ring_bytes);
    weir_json_add_num(o, "kv_bytes", (double)p->kv_bytes);
    weir_json_add_num(o, "scratch_bytes", (double)p->scratch_bytes);
    weir_json_add_num(o, "text_bytes", (double)p->text_bytes);
    weir_json_add_num(o, "misc_bytes", (double)p->misc_bytes);
    weir_json_add_num(o, "streamed_bytes_per_pass", (double)p->streamed_bytes_per_pass);
    weir_json_add_num(o, "steps", e->sched.n_step);
    weir_json_add_num(o, "pinned_steps", p->n_pinned);
    weir_json_add_num(o, "ring_slots", p->n_slot);
    weir_json_add_num(o, "slot_bytes", p->slot_bytes);
    weir_json_add_num(o, "depth", p->depth);
    weir_json_add_num(o, "ctx", p->ctx);
    weir_json_add_str(o, "kv_type", weir_kv_names[e->opts.kv]);
    weir_json *kinds = weir_json_object();
    for (int i = 0; i < WEIR_KV_COUNT; i++) {
        weir_json *kind = weir_json_object();
        weir_json_add_num(kind, "bytes", (double)e->kv[i].bytes);
        weir_json_add_num(kind, "ctx", e->kv[i].ctx);
        weir_json_add(kinds, weir_kv_names[i], kind);
    }
    weir_json_add(o, "kv_types", kinds);
    weir_json_add_num(o, "chunk", p->chunk);
    weir_json_add_num(o, "threads", weir_pool_size(e->pool));
    weir_json_add_str(o, "kernels", weir_kernels()->name);
    weir_json_add_str(o, "io", e->io->name);
    weir_json_add_num(o, "disk_probe_bytes_per_s", p->disk_rate);
    weir_json_add_num(o, "forecast_compute_seconds", p->compute_s);
    weir_json_add_num(o, "forecast_disk_seconds", p->disk_s);
    weir_json_add_num(o, "forecast_tok_per_s", p->forecast_tok_per_s);
    weir_json_add_str(o, "bound", p->bound);
    weir_report_gpu_json(o, e);
}

/* What smaller caches would give: a longer context where we chose it, memory where it was asked
 * for.
 */
static void say_smaller_kv(FILE *out, const struct weir_engine *e)
{
    const bool longer = e->plan.ctx_cut && !e->opts.ctx;
    char a[WEIR_SIZE_STR];
    const char *mark = "           ";
    for (int i = 0; i < WEIR_KV_COUNT; i++) {
        if (e->kv[i].bytes >= e->kv[e->opts.kv].bytes)
            continue;
        if (longer)
            fprintf(out, "%s--kv %s: %u tokens", mark, weir_kv_names[i], e->kv[i].ctx);
        else
            fprintf(out, "%s--kv %s: %s", mark, weir_kv_names[i],
                    weir_size_format(e->kv[i].bytes, a, sizeof(a)));
        mark = ", ";
    }
    if (*mark == ',')
        fprintf(out, "\n");
}

/* What streams, how fast that would be, and the smallest budget. */
static void report_forecast(FILE *out, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    if (p->fits)
        fprintf(out, "streamed   nothing: the model fits (read with %s)\n", e->io->name);
    else
        fprintf(out, "streamed   %s a pass, of %s, with %s\n",
                weir_size_format(p->streamed_bytes_per_pass, a, sizeof(a)),
                weir_size_format(p->matmul_bytes, b, sizeof(b)), e->io->name);
    if (p->forecast_tok_per_s > 0)
        fprintf(out, "forecast   %.2f tok/s, bound by %s (compute %.0f ms, disk %.0f ms a token)\n",
                p->forecast_tok_per_s, p->bound, p->compute_s * 1e3, p->disk_s * 1e3);
    else
        fprintf(out, "forecast   none: the disk could not be measured\n");
    fprintf(out, "smallest   %s would still work (--ram %" PRIu64 ")\n",
            weir_size_format(p->smallest_budget_bytes, a, sizeof(a)), p->smallest_budget_bytes);
}

void weir_report_plan(FILE *out, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    const struct weir_config *c = &e->model.cfg;
    const bool gpu = p->vram_budget_bytes != 0;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    fprintf(out, "model      %s%s%s, %s, %s in %u file%s\n", c->arch, c->name[0] ? " " : "",
            c->name, weir_map_format(e->map),
            weir_size_format(weir_map_bytes(e->map), a, sizeof(a)), weir_map_n_file(e->map),
            weir_map_n_file(e->map) == 1 ? "" : "s");
    char cpus[32] = "";
    if (e->machine.n_allowed > e->machine.n_cpu) /* hyper-threads and weak cores are left alone */
        snprintf(cpus, sizeof(cpus), " of %u", e->machine.n_allowed);
    fprintf(out, "machine    %u%s CPUs, %s free, %s kernels", e->machine.n_cpu, cpus,
            weir_size_format(e->machine.mem_free, a, sizeof(a)), weir_kernels()->name);
    if (e->machine.disk_rate > 0)
        fprintf(out, ", disk %.2f GB/s (%s, %s)", weir_gb(e->machine.disk_rate),
                p->fits ? "reads" : e->io->name,
                e->opts.machine       ? "as told"
                : e->disk_rate_cached ? "known"
                                      : "measured now");
    fprintf(out, "\n");
    if (gpu) {
        weir_report_gpu_accounts(out, e);
        say_smaller_kv(out, e);
    }
    fprintf(out, "budget     %s%s, of which\n", weir_size_format(p->budget_bytes, a, sizeof(a)),
            gpu ? " of memory" : "");
    fprintf(out, "  pinned   %-10s %.1f %% of the weights, %u of %u steps\n",
            weir_size_format(p->pinned_bytes, a, sizeof(a)),
            100.0 *
                (double)((gpu ? p->bus_bytes_per_pass : p->matmul_bytes) -
                         p->streamed_bytes_per_pass) /
                (double)(p->matmul_bytes ? p->matmul_bytes : 1),
            p->n_pinned, e->sched.n_step);
    if (p->n_slot)
        fprintf(out, "  ring     %-10s %u slots of %s, %u reads in flight\n",
                weir_size_format(p->ring_bytes, a, sizeof(a)), p->n_slot,
                weir_size_format(p->slot_bytes, b, sizeof(b)), p->depth);
    if (!gpu) {
        fprintf(out, "  kv       %-10s %u tokens of context, %s%s\n",
                weir_size_format(p->kv_bytes, a, sizeof(a)), p->ctx, weir_kv_names[e->opts.kv],
                p->ctx_cut ? " (the model was trained for more: --ctx)" : "");
        say_smaller_kv(out, e);
    }
    fprintf(out, "  scratch  %-10s %u rows in a prefill pass\n",
            weir_size_format(p->scratch_bytes, a, sizeof(a)), p->chunk);
    fprintf(out, "  text     %s\n", weir_size_format(p->text_bytes, a, sizeof(a)));
    fprintf(out, "  misc     %s\n", weir_size_format(p->misc_bytes, a, sizeof(a)));
    if (gpu)
        weir_report_gpu_forecast(out, e);
    else
        report_forecast(out, e);
}

static void report_start(const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR], c[WEIR_SIZE_STR];
    if (p->fits)
        fprintf(stderr, "weir: %s of weights fit into %s, nothing streams (%s)",
                weir_size_format(p->matmul_bytes, a, sizeof(a)),
                weir_size_format(p->budget_bytes, b, sizeof(b)), e->io->name);
    else
        fprintf(stderr, "weir: %s of weights in %s: %s a token from disk (%s)",
                weir_size_format(p->matmul_bytes, a, sizeof(a)),
                weir_size_format(p->budget_bytes, b, sizeof(b)),
                weir_size_format(p->streamed_bytes_per_pass, c, sizeof(c)), e->io->name);
    if (!p->fits && p->disk_rate > 0)
        fprintf(stderr, ", disk %.2f GB/s %s", weir_gb(p->disk_rate),
                e->disk_rate_cached ? "known" : "measured");
    if (p->forecast_tok_per_s > 0)
        fprintf(stderr, ", forecast %.2f tok/s, bound by %s", p->forecast_tok_per_s, p->bound);
    fprintf(stderr, "\n");
}

void weir_report_start(const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    if (p->vram_budget_bytes)
        weir_report_gpu_start(e);
    else
        report_start(e);
    if (p->ctx_cut && !e->opts.ctx && !e->ctx_known) {
        fprintf(stderr,
                "weir: context of %u tokens, of the %u the model was trained for (--ctx N for more",
                p->ctx, e->model.cfg.ctx_train);
        const enum weir_kv_type half = WEIR_KV_Q8;
        if (e->kv[half].bytes < e->kv[e->opts.kv].bytes && e->kv[half].ctx > p->ctx)
            fprintf(stderr, "; --kv %s has room for %u", weir_kv_names[half], e->kv[half].ctx);
        fprintf(stderr, ")\n");
    }
    const char *note = weir_reach_note(&e->model.cfg, p->ctx);
    if (note)
        fprintf(stderr, "weir: warning: the model was trained for %u tokens of context; %s\n",
                e->model.cfg.ctx_train, note);
}

/* The phase that tells about streaming: generation; the prompt when nothing was generated. */
static const struct weir_meter *phase(const struct weir_gen_result *r)
{
    return r->n_gen_pass ? &r->gen : &r->prompt;
}

double weir_report_rate(const struct weir_gen_result *r)
{
    return r->n_gen_pass && r->gen_s > 0 ? r->n_gen_pass / r->gen_s : 0;
}

const char *weir_report_end(enum weir_gen_end end)
{
    static const char *const ends[] = {
        "length", "eos", "stop", "context", "interrupt", "grammar"
    };
    return ends[end];
}

weir_json *weir_report_stats(const struct weir_engine *e, const struct weir_session *s,
                             const struct weir_gen_result *r, bool cut)
{
    const struct weir_meter zero = { 0 };
    struct weir_meter all;
    char hash[24];
    weir_json *o = weir_json_object();
    weir_engine_meter(e, &all);
    all = weir_meter_diff(&zero, &all);
    weir_report_plan_json(o, e);
    weir_json_add_num(o, "prompt_tokens", r->n_prompt);
    weir_json_add_num(o, "prompt_seconds", r->prompt_s);
    weir_json_add_num(o, "gen_tokens", r->n_gen);
    weir_json_add_num(o, "gen_passes", r->n_gen_pass);
    weir_json_add_num(o, "gen_seconds", r->gen_s);
    weir_json_add_num(o, "gen_tok_per_s", weir_report_rate(r));
    weir_json_add_num(o, "passes", (double)e->n_pass);
    weir_json_add_num(o, "compute_seconds", (double)all.compute_ns / 1e9);
    weir_json_add_num(o, "stall_seconds", (double)all.stall_ns / 1e9);
    weir_json_add_num(o, "io_busy_seconds", (double)all.io_busy_ns / 1e9);
    weir_json_add_num(o, "gen_compute_seconds", (double)r->gen.compute_ns / 1e9);
    weir_json_add_num(o, "gen_stall_seconds", (double)r->gen.stall_ns / 1e9);
    weir_json_add_num(o, "gen_io_busy_seconds", (double)r->gen.io_busy_ns / 1e9);
    weir_json_add_num(o, "gen_bytes_read", (double)r->gen.bytes_read);
    weir_json_add_num(o, "bytes_read", (double)all.bytes_read);
    weir_json_add_num(o, "reads", (double)all.n_read);
    weir_json_add_num(o, "hidden", weir_meter_hidden(phase(r)));
    weir_json_add_num(o, "disk_duty", weir_meter_duty(phase(r)));
    weir_report_gpu_stats(o, e, &all, &r->gen);
    weir_json_add_num(o, "huge_page_bytes", (double)weir_ring_huge_bytes(e->ring));
    for (int i = 0; i < WEIR_MEM_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "used_%s_bytes", weir_mem_names[i]);
        weir_json_add_num(o, name, (double)weir_mem_used((enum weir_account)i));
    }
    weir_json_add_num(o, "peak_rss_bytes", (double)weir_peak_rss_bytes());
    snprintf(hash, sizeof(hash), "%016" PRIx64, s->logits_hash);
    weir_json_add_str(o, "logits_hash", hash);
    weir_json_add_str(o, "end", cut ? "interrupt" : weir_report_end(r->end));
    return o;
}

void weir_report_summary(const struct weir_engine *e, const struct weir_session *s,
                         const struct weir_gen_result *r)
{
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    const struct weir_meter *m = phase(r);
    const double seconds = (double)m->wall_ns / 1e9;
    fprintf(stderr, "weir: prompt %u tokens in %.2f s; ", r->n_prompt, r->prompt_s);
    if (r->n_gen_pass) {
        fprintf(stderr, "%u tokens, %.2f tok/s", r->n_gen, weir_report_rate(r));
        if (e->plan.forecast_tok_per_s > 0)
            fprintf(stderr, " (forecast %.2f)", e->plan.forecast_tok_per_s);
        fprintf(stderr, "; ");
    }
    if (e->feed)
        weir_report_gpu_summary(e, m);
    else if (m->bytes_read && seconds > 0)
        fprintf(stderr, "%.2f GB/s read, waited %.2f s on the disk, %.0f %% of it hidden; ",
                weir_gb((double)m->bytes_read / seconds), (double)m->stall_ns / 1e9,
                100 * weir_meter_hidden(m));
    fprintf(stderr, "peak RAM %s of %s; logits #%08x\n",
            weir_size_format(weir_peak_rss_bytes(), a, sizeof(a)),
            weir_size_format(e->plan.budget_bytes, b, sizeof(b)), (unsigned)(s->logits_hash >> 32));
}

void weir_report_tick(const struct weir_engine *e, const struct weir_gen_tick *t)
{
    const struct weir_meter *m = &t->delta;
    const double wall = (double)m->wall_ns / 1e9;
    fprintf(stderr,
            "overlap: token %u wall %.1f ms compute %.1f stall %.1f disk %.1f ms %.1f MB %.2f GB/s "
            "ring %u/%u hidden %.0f %% duty %.0f %%",
            t->index, wall * 1e3, (double)m->compute_ns / 1e6, (double)m->stall_ns / 1e6,
            (double)m->io_busy_ns / 1e6, (double)m->bytes_read / 1e6,
            wall > 0 ? weir_gb((double)m->bytes_read / wall) : 0, m->ready, e->plan.n_slot,
            100 * weir_meter_hidden(m), 100 * weir_meter_duty(m));
    if (e->feed)
        weir_report_gpu_tick(m);
    fprintf(stderr, "\n");
}
