/* SPDX-License-Identifier: MIT
 * Owns the words and names of plans with a GPU.  Engine thread. */
#include "config.h"

#include "src/cmd/report_gpu.h"

#include "base/num.h"
#include "src/cmd/report.h"

#include <inttypes.h>
#include <string.h>

static double percent(uint64_t part, uint64_t whole)
{
    return 100.0 * (double)part / (double)(whole ? whole : 1);
}

static const char *name_of(const struct weir_machine *m)
{
    return m->gpu_name[0] ? m->gpu_name : "a GPU";
}

void weir_report_gpu_json(weir_json *o, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    const struct weir_machine *m = &e->machine;
    weir_json_add_str(o, "device", p->vram_budget_bytes ? "cuda" : "cpu");
    if (!p->vram_budget_bytes)
        return;
    weir_json_add_str(o, "gpu", m->gpu_name);
    weir_json_add_num(o, "vram_total_bytes", (double)m->vram_total);
    weir_json_add_num(o, "vram_free_bytes", (double)m->vram_free);
    weir_json_add_num(o, "vram_budget_bytes", (double)p->vram_budget_bytes);
    weir_json_add_num(o, "smallest_vram_bytes", (double)p->smallest_vram_bytes);
    weir_json_add_num(o, "vram_pinned_bytes", (double)p->vram_pinned_bytes);
    weir_json_add_num(o, "vram_slot_bytes", (double)p->vram_slot_bytes);
    weir_json_add_num(o, "vram_kv_bytes", (double)p->vram_kv_bytes);
    weir_json_add_num(o, "vram_scratch_bytes", (double)p->vram_scratch_bytes);
    weir_json_add_num(o, "vram_fixed_bytes", (double)p->vram_fixed_bytes);
    weir_json_add_num(o, "vram_used_bytes", (double)p->vram_total_bytes);
    weir_json_add_num(o, "vram_slots", p->n_vram_slot);
    weir_json_add_num(o, "vram_steps", p->n_vram);
    weir_json_add_num(o, "bus_bytes_per_pass", (double)p->bus_bytes_per_pass);
    weir_json_add_num(o, "bus_probe_bytes_per_s", m->bus_rate);
    weir_json_add_num(o, "vram_probe_bytes_per_s", m->vram_rate);
    weir_json_add_num(o, "forecast_bus_seconds", p->bus_s);
    weir_json_add_num(o, "host_mul_bytes_per_s", p->host_mul_rate);
}

void weir_report_gpu_accounts(FILE *out, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    const struct weir_machine *m = &e->machine;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    fprintf(out, "gpu        %s, %s, %s free", name_of(m),
            weir_size_format(m->vram_total, a, sizeof(a)),
            weir_size_format(m->vram_free, b, sizeof(b)));
    if (m->bus_rate > 0)
        fprintf(out, ", bus %.2f GB/s", weir_gb(m->bus_rate));
    if (m->vram_rate > 0)
        fprintf(out, ", memory %.1f GB/s", weir_gb(m->vram_rate));
    if (m->bus_rate > 0 || m->vram_rate > 0)
        fprintf(out, " (%s)",
                e->opts.machine       ? "as told"
                : e->gpu_rates_cached ? "known"
                                      : "measured now");
    fprintf(out, "\nvram       %s of the GPU's memory, of which\n",
            weir_size_format(p->vram_budget_bytes, a, sizeof(a)));
    fprintf(out, "  pinned   %-10s %.1f %% of the weights, %u of %u steps\n",
            weir_size_format(p->vram_pinned_bytes, a, sizeof(a)),
            percent(p->matmul_bytes - weir_min_u64(p->matmul_bytes, p->bus_bytes_per_pass),
                    p->matmul_bytes),
            p->n_vram, e->sched.n_step);
    if (p->n_vram_slot)
        fprintf(out, "  slots    %-10s %u of %s\n",
                weir_size_format(p->vram_slot_bytes, a, sizeof(a)), p->n_vram_slot,
                weir_size_format(p->vram_one_slot_bytes, b, sizeof(b)));
    fprintf(out, "  scratch  %-10s %u rows in a prefill pass\n",
            weir_size_format(p->vram_scratch_bytes, a, sizeof(a)), p->chunk);
    fprintf(out, "  fixed    %-10s norms, biases, adapters\n",
            weir_size_format(p->vram_fixed_bytes, a, sizeof(a)));
    fprintf(out, "  kv       %-10s %u tokens of context, %s%s\n",
            weir_size_format(p->vram_kv_bytes, a, sizeof(a)), p->ctx, weir_kv_names[e->opts.kv],
            p->ctx_cut ? " (the model was trained for more: --ctx)" : "");
}

void weir_report_gpu_forecast(FILE *out, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    if (!p->bus_bytes_per_pass)
        fprintf(out, "streamed   nothing: the model fits into the GPU's memory\n");
    else if (p->fits)
        fprintf(out, "streamed   %s a pass over the bus, nothing from disk\n",
                weir_size_format(p->bus_bytes_per_pass, a, sizeof(a)));
    else
        fprintf(out, "streamed   %s a pass over the bus, %s of it from disk, with %s\n",
                weir_size_format(p->bus_bytes_per_pass, a, sizeof(a)),
                weir_size_format(p->streamed_bytes_per_pass, b, sizeof(b)), e->io->name);
    if (p->forecast_tok_per_s > 0)
        fprintf(out,
                "forecast   %.2f tok/s, bound by %s (gpu %.1f ms, bus %.1f ms, disk %.1f ms a "
                "token)\n",
                p->forecast_tok_per_s, p->bound, p->compute_s * 1e3, p->bus_s * 1e3,
                p->disk_s * 1e3);
    else
        fprintf(out, "forecast   none: a rate of %s is not known\n",
                !(p->compute_s > 0)                        ? "the GPU"
                : p->bus_bytes_per_pass && !(p->bus_s > 0) ? "the bus"
                                                           : "the disk");
    if (!strcmp(p->bound, "bus") && p->n_pinned && p->host_mul_rate > p->bus_rate)
        fprintf(out,
                "note       the CPU would multiply what is in RAM at %.1f GB/s, the bus brings it "
                "to the GPU at %.1f\n",
                weir_gb(p->host_mul_rate), weir_gb(p->bus_rate));
    fprintf(out,
            "smallest   %s of the GPU's memory and %s beside it would still work (--vram %" PRIu64
            " --ram %" PRIu64 ")\n",
            weir_size_format(p->smallest_vram_bytes, a, sizeof(a)),
            weir_size_format(p->smallest_budget_bytes, b, sizeof(b)), p->smallest_vram_bytes,
            p->smallest_budget_bytes);
}

void weir_report_gpu_start(const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR], c[WEIR_SIZE_STR];
    fprintf(stderr, "weir: %s of weights on %s: ", weir_size_format(p->matmul_bytes, a, sizeof(a)),
            name_of(&e->machine));
    if (!p->bus_bytes_per_pass)
        fprintf(stderr, "they fit into %s of its memory",
                weir_size_format(p->vram_budget_bytes, b, sizeof(b)));
    else
        fprintf(stderr, "%s in its memory, %s a token over the bus",
                weir_size_format(p->vram_pinned_bytes, a, sizeof(a)),
                weir_size_format(p->bus_bytes_per_pass, b, sizeof(b)));
    if (!p->fits)
        fprintf(stderr, ", %s of it from disk (%s)",
                weir_size_format(p->streamed_bytes_per_pass, c, sizeof(c)), e->io->name);
    if (p->forecast_tok_per_s > 0)
        fprintf(stderr, ", forecast %.2f tok/s, bound by %s", p->forecast_tok_per_s, p->bound);
    fprintf(stderr, "\n");
}

void weir_report_gpu_stats(weir_json *o, const struct weir_engine *e, const struct weir_meter *all,
                           const struct weir_meter *gen)
{
    if (!e->feed)
        return;
    struct weir_feed_stats f;
    weir_feed_stats(e->feed, &f);
    weir_json_add_num(o, "bus_bytes", (double)all->bus_bytes);
    weir_json_add_num(o, "bus_copies", (double)f.n_copy);
    weir_json_add_num(o, "bus_busy_seconds", (double)all->bus_busy_ns / 1e9);
    weir_json_add_num(o, "gpu_stall_seconds", (double)f.gpu_stall_ns / 1e9);
    weir_json_add_num(o, "gen_bus_bytes", (double)gen->bus_bytes);
    weir_json_add_num(o, "gen_bus_busy_seconds", (double)gen->bus_busy_ns / 1e9);
    weir_json_add_num(o, "bus_duty", weir_meter_bus_duty(gen->wall_ns ? gen : all));
    weir_json_add_num(o, "direct_bytes", (double)f.direct_bytes);
}

static double rate_of(uint64_t bytes, uint64_t ns)
{
    return ns ? (double)bytes / (double)ns : 0; /* GB/s */
}

void weir_report_gpu_tick(const struct weir_meter *m)
{
    fprintf(stderr, " bus %.1f ms %.1f MB %.2f GB/s duty %.0f %%", (double)m->bus_busy_ns / 1e6,
            (double)m->bus_bytes / 1e6, rate_of(m->bus_bytes, m->bus_busy_ns),
            100 * weir_meter_bus_duty(m));
}

void weir_report_gpu_summary(const struct weir_engine *e, const struct weir_meter *m)
{
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    if (m->bus_bytes)
        fprintf(stderr,
                "%.2f GB/s over the bus, the GPU waited %.2f s for weights, %.0f %% hidden; ",
                rate_of(m->bus_bytes, m->wall_ns), (double)m->stall_ns / 1e9,
                100 * weir_meter_hidden(m));
    if (m->bytes_read)
        fprintf(stderr, "%.2f GB/s read; ", rate_of(m->bytes_read, m->wall_ns));
    fprintf(stderr, "GPU memory %s of %s; ",
            weir_size_format(e->plan.vram_total_bytes, a, sizeof(a)),
            weir_size_format(e->plan.vram_budget_bytes, b, sizeof(b)));
}
