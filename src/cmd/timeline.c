/* SPDX-License-Identifier: MIT
 * Owns the reading of a trace into lists of spans, and the sums over them; the words and the
 * picture are timeline_words.c's and timeline_svg.c's.  A trace is a file like any other: what is
 * not a plausible event of ours is counted and left out, and what remains is sorted before anything
 * relies on its order. */
#include "config.h"

#include "src/cmd/timeline.h"

#include "base/mem.h"
#include "base/trace.h"
#include "src/cmd/timeline_svg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Four months.  Later times are not times, and below it doubles still resolve two nanoseconds. */
#define TIME_MAX_US 1e13
#define VALUE_MAX   1e18

static double number(const weir_json *object, const char *key)
{
    return weir_json_num(weir_json_get(object, key), -1);
}

static bool is(const weir_json *object, const char *key, const char *want)
{
    const char *s = weir_json_str(weir_json_get(object, key));
    return s && strcmp(s, want) == 0;
}

/* Which thread is which lane: as the trace says, else as base/trace.c numbers them. */
static void read_lanes(const weir_json *events, double tid[WEIR_LANE_COUNT])
{
    for (int l = 0; l < WEIR_LANE_COUNT; l++)
        tid[l] = l + 1;
    for (const weir_json *e = weir_json_first(events); e; e = weir_json_next(e)) {
        if (!is(e, "ph", "M") || !is(e, "name", "thread_name"))
            continue;
        for (int l = 0; l < WEIR_LANE_COUNT; l++)
            if (is(weir_json_get(e, "args"), "name", weir_lane_names[l]))
                tid[l] = number(e, "tid");
    }
}

static enum weir_tl_kind kind_of(const weir_json *e, enum weir_lane lane)
{
    switch (lane) {
    case WEIR_LANE_DISK: return is(e, "name", "pin") ? WEIR_TL_PIN : WEIR_TL_READ;
    case WEIR_LANE_RING: return WEIR_TL_RING;
    case WEIR_LANE_COMPUTE:
        return is(e, "name", "matmul")      ? WEIR_TL_MATMUL
               : is(e, "name", "attention") ? WEIR_TL_ATTENTION
                                            : WEIR_TL_OTHER;
    case WEIR_LANE_STALL: return WEIR_TL_STALL;
    case WEIR_LANE_TOKEN: return is(e, "name", "prefill") ? WEIR_TL_PREFILL : WEIR_TL_TOKEN;
    case WEIR_LANE_BUS: return WEIR_TL_BUS;
    case WEIR_LANE_GPU: return WEIR_TL_GPU;
    default: return WEIR_TL_KINDS;
    }
}

/* The kind and span of E; WEIR_TL_KINDS when it is none of ours, or is ours and impossible, which
 * counts in *n_odd.  Comparisons are written so that a NaN fails them. */
static enum weir_tl_kind read_event(const weir_json *e, const double tid[WEIR_LANE_COUNT],
                                    struct weir_tl_span *ret, size_t *n_odd)
{
    const bool counter = is(e, "ph", "C");
    if (!counter && !is(e, "ph", "X"))
        return WEIR_TL_KINDS;
    const double thread = number(e, "tid");
    int lane = 0;
    while (lane < WEIR_LANE_COUNT && tid[lane] != thread)
        lane++;
    if (lane == WEIR_LANE_COUNT || thread < 0 || counter != (lane == WEIR_LANE_RING))
        return WEIR_TL_KINDS;
    const double ts = number(e, "ts"), dur = counter ? 0 : number(e, "dur");
    const double value = number(weir_json_get(e, "args"), counter ? "bytes" : "n");
    const bool has_value = value >= 0 && value <= VALUE_MAX;
    if (!(ts >= 0 && dur >= 0 && ts + dur <= TIME_MAX_US) || (counter && !has_value)) {
        ++*n_odd;
        return WEIR_TL_KINDS;
    }
    *ret = (struct weir_tl_span){ ts / 1e6, (ts + dur) / 1e6, has_value ? value : 0 };
    return kind_of(e, (enum weir_lane)lane);
}

static int list_new(struct weir_tl_list *l, size_t n)
{
    l->n = 0;
    l->v = n ? weir_alloc(WEIR_MEM_MISC, n, sizeof(*l->v)) : NULL;
    return n && !l->v ? -ENOMEM : 0;
}

static void push(struct weir_tl_list *l, double t0, double t1, double value)
{
    l->v[l->n++] = (struct weir_tl_span){ t0, t1, value };
}

/* Fill the lists, in file order: once to count, once to keep. */
static int read_events(struct weir_tl *t, const weir_json *events)
{
    double tid[WEIR_LANE_COUNT];
    struct weir_tl_span s;
    enum weir_tl_kind k;
    read_lanes(events, tid);
    for (const weir_json *e = weir_json_first(events); e; e = weir_json_next(e))
        if ((k = read_event(e, tid, &s, &t->n_odd)) < WEIR_TL_KINDS)
            t->n_event[k]++;
    for (k = 0; k < WEIR_TL_KINDS; k++)
        if (list_new(&t->kind[k], t->n_event[k]) < 0)
            return -ENOMEM;
    size_t counted = 0;
    for (const weir_json *e = weir_json_first(events); e; e = weir_json_next(e))
        if ((k = read_event(e, tid, &s, &counted)) < WEIR_TL_KINDS)
            t->kind[k].v[t->kind[k].n++] = s;
    return 0;
}

static int by_t0(const void *a, const void *b)
{
    const struct weir_tl_span *x = a, *y = b;
    return x->t0 != y->t0 ? (x->t0 > y->t0) - (x->t0 < y->t0) : (x->t1 > y->t1) - (x->t1 < y->t1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sort all lists, and count time from the first event on. */
static void order(struct weir_tl *t)
{
    double lo = TIME_MAX_US, hi = 0;
    for (int k = 0; k < WEIR_TL_KINDS; k++) {
        struct weir_tl_list *l = &t->kind[k];
        if (l->n) /* qsort's pointer must not be NULL */
            qsort(l->v, l->n, sizeof(*l->v), by_t0);
        for (size_t i = 0; i < l->n; i++) {
            lo = l->v[i].t0 < lo ? l->v[i].t0 : lo;
            hi = l->v[i].t1 > hi ? l->v[i].t1 : hi;
        }
    }
    for (int k = 0; k < WEIR_TL_KINDS; k++)
        for (size_t i = 0; i < t->kind[k].n; i++) {
            t->kind[k].v[i].t0 -= lo;
            t->kind[k].v[i].t1 -= lo;
        }
    t->seconds = hi - lo > 1e-9 ? hi - lo : 1e-6; /* a run of one instant has a width too */
}

/* Sorted spans to disjoint ones, in place. */
static void merge(struct weir_tl_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (n && l->v[i].t0 <= l->v[n - 1].t1)
            l->v[n - 1].t1 = l->v[i].t1 > l->v[n - 1].t1 ? l->v[i].t1 : l->v[n - 1].t1;
        else
            l->v[n++] = l->v[i];
    l->n = n;
}

/* Take the disjoint spans CUT out of the disjoint spans *L. */
static int subtract(struct weir_tl_list *l, const struct weir_tl_list *cut)
{
    struct weir_tl_list out;
    if (list_new(&out, l->n ? l->n + cut->n : 0) < 0)
        return -ENOMEM;
    size_t c = 0;
    for (size_t i = 0; i < l->n; i++) {
        double at = l->v[i].t0;
        while (c < cut->n && cut->v[c].t1 <= at)
            c++;
        for (; c < cut->n && cut->v[c].t0 < l->v[i].t1; c++) {
            if (cut->v[c].t0 > at)
                push(&out, at, cut->v[c].t0, 0);
            at = cut->v[c].t1;
            if (at > l->v[i].t1)
                break; /* the next span may still lie in this cut */
        }
        if (at < l->v[i].t1)
            push(&out, at, l->v[i].t1, 0);
    }
    weir_free(l->v);
    *l = out;
    return 0;
}

/* The reads by themselves, their union, and how many there were at once. */
static int lay_out_disk(struct weir_tl *t)
{
    const struct weir_tl_list *pin = &t->kind[WEIR_TL_PIN], *read = &t->kind[WEIR_TL_READ];
    const size_t n = pin->n + read->n;
    if (list_new(&t->flight, n) < 0 || list_new(&t->disk, n) < 0)
        return -ENOMEM;
    if (!n)
        return 0;
    double *ends = weir_alloc(WEIR_MEM_MISC, n, sizeof(*ends));
    if (!ends)
        return -ENOMEM;
    struct weir_tl_span *v = t->flight.v;
    if (pin->n)
        memcpy(v, pin->v, pin->n * sizeof(*v));
    if (read->n)
        memcpy(v + pin->n, read->v, read->n * sizeof(*v));
    qsort(v, n, sizeof(*v), by_t0);
    memcpy(t->disk.v, v, n * sizeof(*v));
    t->flight.n = t->disk.n = n;
    merge(&t->disk);
    for (size_t i = 0; i < n; i++)
        ends[i] = v[i].t1;
    qsort(ends, n, sizeof(*ends), by_value);
    for (size_t i = 0, ended = 0; i < n; i++) {
        while (ended < i && ends[ended] <= v[i].t0)
            ended++;
        t->depth = i + 1 - ended > t->depth ? i + 1 - ended : t->depth;
    }
    weir_free(ends);
    return 0;
}

static int prepare(struct weir_tl *t)
{
    order(t);
    for (size_t i = 0; i < t->kind[WEIR_TL_PIN].n; i++)
        t->pin_bytes += t->kind[WEIR_TL_PIN].v[i].value;
    for (size_t i = 0; i < t->kind[WEIR_TL_RING].n; i++)
        if (t->kind[WEIR_TL_RING].v[i].value > t->ring_max)
            t->ring_max = t->kind[WEIR_TL_RING].v[i].value;
    int r = lay_out_disk(t);
    merge(&t->kind[WEIR_TL_PIN]);
    merge(&t->kind[WEIR_TL_READ]);
    merge(&t->kind[WEIR_TL_STALL]);
    for (size_t i = 0; i < t->kind[WEIR_TL_BUS].n; i++)
        t->bus_bytes += t->kind[WEIR_TL_BUS].v[i].value;
    merge(&t->kind[WEIR_TL_BUS]);
    /* A product waits for its weights inside its span: that part of it is stall, not compute. */
    for (int k = WEIR_TL_MATMUL; r == 0 && k <= WEIR_TL_GPU; k++) {
        merge(&t->kind[k]);
        r = subtract(&t->kind[k], &t->kind[WEIR_TL_STALL]);
    }
    return r;
}

static double overlap(const struct weir_tl_list *l, double t0, double t1)
{
    double sum = 0;
    for (size_t i = 0; i < l->n && l->v[i].t0 < t1; i++) {
        const double a = l->v[i].t0 > t0 ? l->v[i].t0 : t0, b = l->v[i].t1 < t1 ? l->v[i].t1 : t1;
        sum += b > a ? b - a : 0;
    }
    return sum < t1 - t0 ? sum : t1 - t0;
}

void weir_tl_sum(const struct weir_tl *t, double t0, double t1, struct weir_tl_sum *ret)
{
    *ret = (struct weir_tl_sum){ .t0 = t0, .t1 = t1 };
    for (int k = 0; k < WEIR_TL_KINDS; k++)
        ret->busy[k] = overlap(&t->kind[k], t0, t1);
    ret->disk = overlap(&t->disk, t0, t1);
    for (int k = WEIR_TL_MATMUL; k <= WEIR_TL_GPU; k++)
        ret->compute += ret->busy[k];
    for (size_t i = 0; i < t->flight.n && t->flight.v[i].t0 <= t1; i++)
        if (t->flight.v[i].t1 >= t0 && t->flight.v[i].t1 <= t1) {
            ret->bytes += t->flight.v[i].value;
            ret->n_read++;
        }
}

int weir_timeline_svg(const weir_json *trace, const char *name, FILE *out, struct weir_err *err)
{
    /* The format knows two forms: the list itself, and an object around it. */
    const weir_json *events = weir_json_get(trace, "traceEvents");
    struct weir_tl t = { 0 };
    int r = read_events(&t, events ? events : trace);
    size_t n = 0;
    for (int k = 0; k < WEIR_TL_KINDS; k++)
        n += t.n_event[k];
    const double dropped = number(weir_json_get(trace, "otherData"), "dropped");
    t.n_dropped = dropped > 0 && dropped <= VALUE_MAX ? dropped : 0;
    if (r == 0 && !n && t.n_odd)
        r = weir_fail(err, -EINVAL, "%s: none of its %zu events has a possible time", name,
                      t.n_odd);
    else if (r == 0 && !n)
        r = weir_fail(err, -EINVAL,
                      "%s: no events of weir in it: is it what 'weir run --trace' wrote?", name);
    else if (r < 0 || (r = prepare(&t)) < 0)
        weir_fail(err, r, "%s: no memory for its %zu events", name, n);
    if (r == 0)
        weir_tl_draw(&t, name, out);
    for (int k = 0; k < WEIR_TL_KINDS; k++)
        weir_free(t.kind[k].v);
    weir_free(t.flight.v);
    weir_free(t.disk.v);
    return r;
}
