/* SPDX-License-Identifier: MIT
 * Owns what is inside the lanes.  A lane is drawn by pixel columns: however many events there are,
 * they are first summed into WEIR_TL_COLS columns, so the size of the picture does not depend on
 * the length of the run. */
#include "config.h"

#include "src/cmd/timeline_bars.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define LEVELS 12 /* shades of a colour */

double weir_tl_column(const struct weir_tl_panel *p, double time)
{
    const double x = (time - p->sum.t0) / (p->sum.t1 - p->sum.t0) * WEIR_TL_COLS;
    return x > 0 ? fmin(x, WEIR_TL_COLS) : 0;
}

/* Means over columns: whole columns are kept as differences, so that a span costs the same whatever
 * its length. */
struct cols {
    double v[WEIR_TL_COLS + 1];
    double diff[WEIR_TL_COLS + 2];
};

static void add(struct cols *c, const struct weir_tl_panel *p, double t0, double t1, double weight)
{
    const double x0 = weir_tl_column(p, t0), x1 = weir_tl_column(p, t1);
    if (!(x1 > x0))
        return;
    const int first = (int)x0, last = (int)x1;
    if (first == last) {
        c->v[first] += (x1 - x0) * weight;
        return;
    }
    c->v[first] += (first + 1 - x0) * weight;
    c->v[last] += (x1 - last) * weight;
    c->diff[first + 1] += weight;
    c->diff[last] -= weight;
}

static void add_list(struct cols *c, const struct weir_tl_panel *p, const struct weir_tl_list *l)
{
    for (size_t i = 0; i < l->n && l->v[i].t0 < p->sum.t1; i++)
        add(c, p, l->v[i].t0, l->v[i].t1, 1);
}

static void finish(struct cols *c)
{
    double run = 0;
    for (int x = 0; x < WEIR_TL_COLS; x++) {
        run += c->diff[x];
        c->v[x] = fmax(c->v[x] + run, 0);
    }
}

/* A row of bars H high from Y down: columns of like shade become one stroke. */
static void draw_bars(const struct weir_tl_panel *p, const struct cols *c, const char *class, int y,
                      int h)
{
    uint8_t shade[WEIR_TL_COLS + 1];
    for (int x = 0; x < WEIR_TL_COLS; x++)
        shade[x] = c->v[x] > 1e-9 ? (uint8_t)fmin(ceil(c->v[x] * LEVELS - 1e-6), LEVELS) : 0;
    shade[WEIR_TL_COLS] = 0;
    for (int level = 1; level <= LEVELS; level++) {
        int end = -1;
        for (int x = 0, from; x < WEIR_TL_COLS; x++) {
            if (shade[x] != level)
                continue;
            for (from = x; shade[x + 1] == level;)
                x++;
            if (end < 0)
                fprintf(p->out,
                        "<path class=\"bars %s\" stroke-width=\"%d\" stroke-opacity=\"%.2f\" "
                        "d=\"M%d %g",
                        class, h, (double)level / LEVELS, WEIR_TL_LEFT + from, y + h / 2.0);
            else
                fprintf(p->out, "m%d 0", from - end);
            fprintf(p->out, "h%d", x + 1 - from);
            end = x + 1;
        }
        if (end >= 0)
            fputs("\"/>\n", p->out);
    }
}

/* Reads, darker the more were in flight; where both kinds were, pins have the lower part. */
void weir_tl_draw_disk(const struct weir_tl_panel *p, int y, int h)
{
    struct cols pin = { 0 }, read = { 0 }, busy = { 0 }, flight = { 0 };
    add_list(&pin, p, &p->t->kind[WEIR_TL_PIN]);
    add_list(&read, p, &p->t->kind[WEIR_TL_READ]);
    add_list(&busy, p, &p->t->disk);
    add_list(&flight, p, &p->t->flight);
    finish(&pin);
    finish(&read);
    finish(&busy);
    finish(&flight);
    struct cols row[2][2] = { { { { 0 }, { 0 } } } }; /* [upper, lower][pin, read] */
    for (int x = 0; x < WEIR_TL_COLS; x++) {
        /* The mean of the reads in flight counts idle time as none: both terms shrink with it. */
        const double depth = p->t->depth ? flight.v[x] / (double)p->t->depth : 0;
        const double v = 0.5 * busy.v[x] + 0.5 * depth;
        row[0][read.v[x] > 1e-9].v[x] = v;
        row[1][pin.v[x] <= 1e-9].v[x] = v;
    }
    const int upper = h * 3 / 5;
    for (int k = 0; k < 2; k++) {
        draw_bars(p, &row[0][k], k ? "read" : "pin", y, upper);
        draw_bars(p, &row[1][k], k ? "read" : "pin", y + upper, h - upper);
    }
}

void weir_tl_draw_ring(const struct weir_tl_panel *p, int y, int h)
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_RING];
    struct cols c = { 0 };
    if (!(p->t->ring_max > 0))
        return;
    for (size_t i = 0; i < l->n; i++)
        add(&c, p, l->v[i].t0, i + 1 < l->n ? l->v[i + 1].t0 : p->t->seconds,
            l->v[i].value / p->t->ring_max);
    finish(&c);
    fprintf(p->out, "<path class=\"ring\" d=\"M%d %d", WEIR_TL_LEFT, y + h);
    int last = 0, from = 0; /* half pixels */
    for (int x = 0; x < WEIR_TL_COLS; x++) {
        const int v = (int)lround(fmin(c.v[x], 1) * 2 * h);
        if (v != last) {
            if (x > from)
                fprintf(p->out, "H%d", WEIR_TL_LEFT + x);
            fprintf(p->out, "V%g", y + h - v / 2.0);
            from = x;
            last = v;
        }
    }
    fprintf(p->out, "H%dV%dz\"/>\n", WEIR_TL_LEFT + WEIR_TL_COLS, y + h);
}

void weir_tl_draw_kind(const struct weir_tl_panel *p, enum weir_tl_kind k, const char *class, int y,
                       int h)
{
    struct cols c = { 0 };
    add_list(&c, p, &p->t->kind[k]);
    finish(&c);
    if (k == WEIR_TL_STALL) /* short ones matter: one in a hundred must still be seen */
        for (int x = 0; x < WEIR_TL_COLS; x++)
            c.v[x] = c.v[x] > 0.002 ? 0.15 + 0.85 * c.v[x] : c.v[x];
    draw_bars(p, &c, class, y, h);
}
