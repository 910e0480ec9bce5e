/* SPDX-License-Identifier: MIT
 * Owns the words of a timeline: numbers with units, and the sentences above the picture.  All text
 * that comes from outside goes through weir_tl_escape. */
#include "config.h"

#include "src/cmd/timeline_words.h"

#include "base/utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Three digits that matter. */
static struct weir_tl_word fmt(double v, const char *unit)
{
    struct weir_tl_word w;
    int digits = v > 0 ? 2 : 0;
    for (double next = 9.995; digits && v >= next; next *= 10)
        digits--;
    for (double next = 0.9995; v > 0 && v < next && digits < 6; next /= 10)
        digits++;
    snprintf(w.s, sizeof(w.s), "%.*f%s", digits, v, unit);
    return w;
}

struct weir_tl_word weir_tl_seconds(double s)
{
    if (s >= 7200)
        return fmt(s / 3600, " h");
    if (s >= 300)
        return fmt(s / 60, " min");
    if (s >= 1 || s == 0)
        return fmt(s, " s");
    return s >= 1e-3 ? fmt(s * 1e3, " ms") : fmt(s * 1e6, " µs");
}

struct weir_tl_word weir_tl_bytes(double n, const char *per)
{
    static const char *const unit[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    char u[16];
    int k = 0;
    for (; n >= 999.5 && k < 6; k++)
        n /= 1000;
    snprintf(u, sizeof(u), " %s%s", unit[k], per);
    struct weir_tl_word w;
    if (k)
        return fmt(n, u);
    snprintf(w.s, sizeof(w.s), "%.0f%s", n, u);
    return w;
}

/* Never "0 %" of something nor "100 %" of not quite all. */
struct weir_tl_word weir_tl_percent(double part, double whole)
{
    const double p = whole > 0 ? 100 * fmin(part / whole, 1) : 0;
    struct weir_tl_word w;
    if (p > 0 && p < 0.1)
        return (struct weir_tl_word){ "under 0.1 %" };
    if (p > 99.9 && p < 100)
        return (struct weir_tl_word){ "99.9 %" };
    snprintf(w.s, sizeof(w.s), "%.*f %%", p > 0 && (p < 0.95 || p > 99) && p < 100, p);
    return w;
}

/* The invariant of this file: text that is not ours reaches OUT through here, or not at all. */
void weir_tl_escape(FILE *out, const char *s)
{
    char *clean = weir_utf8_clean(s, strlen(s));
    for (const char *p = clean ? clean : "?"; *p; p++) {
        const unsigned char c = (unsigned char)*p;
        /* XML has no way to say control characters, nor U+FFFE and U+FFFF. */
        if (c == 0xef && (unsigned char)p[1] == 0xbf && (unsigned char)p[2] >= 0xbe) {
            fputc('?', out);
            p += 2;
        } else if (c < 0x20 || c == 0x7f) {
            fputc('?', out);
        } else if (strchr("&<>\"'", c)) {
            fprintf(out, "&#%d;", c);
        } else {
            fputc(c, out);
        }
    }
    free(clean);
}

/* "The bus was busy ..., the disk ...; ... hidden." */
static void say_hidden_gpu(FILE *out, const struct weir_tl_sum *s)
{
    const double span = s->t1 - s->t0, stall = s->busy[WEIR_TL_STALL], bus = s->busy[WEIR_TL_BUS];
    const double busy = fmax(bus, s->disk);
    fprintf(out, "The bus was busy %s of %s, the disk %s; ", weir_tl_percent(bus, span).s,
            weir_tl_seconds(span).s, weir_tl_percent(s->disk, span).s);
    if (stall <= 0)
        fputs("the GPU never waited for weights.", out);
    else
        fprintf(out, "the GPU waited for weights %s, so %s of the longer of the two was hidden.",
                weir_tl_seconds(stall).s, weir_tl_percent(fmax(busy - stall, 0), busy).s);
}

/* "The disk was busy ...; ... hidden." */
void weir_tl_say_hidden(FILE *out, const struct weir_tl *t, const struct weir_tl_sum *s)
{
    const double span = s->t1 - s->t0, stall = s->busy[WEIR_TL_STALL];
    if (t->n_event[WEIR_TL_BUS]) {
        say_hidden_gpu(out, s);
        return;
    }
    if (s->disk <= 0) {
        fprintf(out, "Nothing was read from disk in %s%s", weir_tl_seconds(span).s,
                stall > 0 ? "" : ".");
        if (stall > 0)
            fprintf(out, "; compute waited %s.", weir_tl_seconds(stall).s);
        return;
    }
    fprintf(out, "The disk was busy %s of %s; ", weir_tl_percent(s->disk, span).s,
            weir_tl_seconds(span).s);
    if (!t->n_event[WEIR_TL_STALL] && !(s->compute > 0)) {
        fputs("compute is not in this trace.", out);
        return;
    }
    if (stall <= 0)
        fputs("compute never waited for it, so all of the disk's time was hidden behind compute.",
              out);
    else if (stall >= s->disk)
        fprintf(out,
                "compute waited for it %s, so none of the disk's time was hidden behind compute.",
                weir_tl_seconds(stall).s);
    else
        fprintf(out,
                "compute waited for it %s, so %s of the disk's time was hidden behind compute.",
                weir_tl_seconds(stall).s, weir_tl_percent(s->disk - stall, s->disk).s);
}

struct passes {
    double n, seconds; /* tokens, and from the first pass to the end of the last */
};

static struct passes passes(const struct weir_tl_list *l)
{
    struct passes p = { 0 };
    double end = 0;
    for (size_t i = 0; i < l->n; i++) {
        p.n += l->v[i].value;
        end = fmax(end, l->v[i].t1);
    }
    p.seconds = l->n ? end - l->v[0].t0 : 0;
    return p;
}

void weir_tl_say_amounts(FILE *out, const struct weir_tl *t, const struct weir_tl_sum *s)
{
    if (s->disk > 0 && s->compute > 0)
        fputs(s->disk > 1.05 * s->compute   ? "The disk was the longer side. "
              : s->compute > 1.05 * s->disk ? "Compute was the longer side. "
                                            : "Disk and compute took about equally long. ",
              out);
    if (!s->n_read)
        return;
    fprintf(out, "%s in %zu read%s", weir_tl_bytes(s->bytes, "").s, s->n_read,
            s->n_read == 1 ? "" : "s");
    if (s->disk > 0)
        fprintf(out, ", %s while busy", weir_tl_bytes(s->bytes / s->disk, "/s").s);
    if (!t->n_event[WEIR_TL_READ])
        fputs(" (all of it once, to stay in memory)", out);
    else if (t->n_event[WEIR_TL_PIN])
        fprintf(out, " (%s of it once, to stay in memory)", weir_tl_bytes(t->pin_bytes, "").s);
    fputs(".", out);
}

void weir_tl_say_tokens(FILE *out, const struct weir_tl *t)
{
    for (int k = WEIR_TL_PREFILL; k <= WEIR_TL_TOKEN; k++) {
        const struct passes p = passes(&t->kind[k]);
        if (!p.n)
            continue;
        fprintf(out, "%s%.0f token%s in %s",
                k == WEIR_TL_PREFILL ? "Prefill: " : "Generated: ", p.n, p.n == 1 ? "" : "s",
                weir_tl_seconds(p.seconds).s);
        if (p.seconds > 0)
            fprintf(out, ", %s", fmt(p.n / p.seconds, " tok/s").s);
        fputs(". ", out);
    }
}

void weir_tl_say_gaps(FILE *out, const struct weir_tl *t)
{
    if (t->n_dropped)
        fprintf(out, "%.0f events did not fit in the trace, so its later part is incomplete. ",
                t->n_dropped);
    if (t->n_odd)
        fprintf(out, "%zu impossible event%s left out.", t->n_odd,
                t->n_odd == 1 ? " was" : "s were");
}
