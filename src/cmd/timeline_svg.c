/* SPDX-License-Identifier: MIT
 * Owns how a run looks: the words, the lanes, the colours.  A lane is drawn by pixel columns: however
 * many events there are, they are first summed into COLS columns, so the size of the picture does not
 * depend on the length of the run.  Colours are Okabe and Ito's, told apart with any colour vision. */
#include "config.h"

#include "src/cmd/timeline_svg.h"

#include "src/cmd/timeline_words.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1240
#define LEFT 150  /* of the lanes: the labels are beside them */
#define COLS 1060 /* of one pixel each */
#define LEVELS 12 /* shades of a colour */
#define CHAR_PX 6.3 /* an average character of the small text, on the generous side */

static const char STYLE[] =
    "text{font-family:system-ui,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif;font-size:11.5px;fill:#4a5058}"
    ".bg{fill:#fff}.lane{fill:#f1f3f5}.h1{font-size:19px;font-weight:600;fill:#16181b}.h2{font-size:14px;fill:#16181b}"
    ".h3{font-size:13.5px;font-weight:600;fill:#16181b}.name{font-size:12.5px;font-weight:600;fill:#16181b}"
    ".read{stroke:#0072b2;fill:#0072b2}.pin{stroke:#e69f00;fill:#e69f00}.matmul{stroke:#009e73;fill:#009e73}"
    ".attention{stroke:#b0589b;fill:#b0589b}.other{stroke:#7a828c;fill:#7a828c}.stall{stroke:#d4230e;fill:#d4230e}"
    ".prefill{stroke:#c9b458;fill:#c9b458}.ring{fill:#56b4e9;fill-opacity:.45;stroke:#2a86bd}"
    ".ringkey{fill:#56b4e9;fill-opacity:.5}.cut{stroke:#16181b;stroke-opacity:.3}.axis,.zoom{stroke:#868e96}.bars{fill:none;shape-rendering:crispEdges}"
    "@media(prefers-color-scheme:dark){text{fill:#b4bcc6}.bg{fill:#14171b}.lane{fill:#20252b}"
    ".h1,.h2,.h3,.name{fill:#f0f3f6}.read{stroke:#3590d8;fill:#3590d8}.pin{stroke:#f2b134;fill:#f2b134}"
    ".matmul{stroke:#25b98e;fill:#25b98e}.attention{stroke:#dd8cc7;fill:#dd8cc7}.other{stroke:#98a1ac;fill:#98a1ac}"
    ".stall{stroke:#ff5c47;fill:#ff5c47}.prefill{stroke:#8a7a33;fill:#8a7a33}.cut{stroke:#f0f3f6}.bars{fill:none}}";

/* ---- columns ---- */

/* One panel: the part of the run from t0 to t1, at y downward. */
struct panel {
    FILE *out;
    const struct weir_tl *t;
    struct weir_tl_sum sum;
    int y;
};

static double column(const struct panel *p, double time)
{
    const double x = (time - p->sum.t0) / (p->sum.t1 - p->sum.t0) * COLS;
    return x > 0 ? fmin(x, COLS) : 0;
}

/* Means over columns: whole columns are kept as differences, so that a span costs the same whatever
 * its length. */
struct cols {
    double v[COLS + 1];
    double diff[COLS + 2];
};

static void add(struct cols *c, const struct panel *p, double t0, double t1, double weight)
{
    const double x0 = column(p, t0), x1 = column(p, t1);
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

static void add_list(struct cols *c, const struct panel *p, const struct weir_tl_list *l)
{
    for (size_t i = 0; i < l->n && l->v[i].t0 < p->sum.t1; i++)
        add(c, p, l->v[i].t0, l->v[i].t1, 1);
}

static void finish(struct cols *c)
{
    double run = 0;
    for (int x = 0; x < COLS; x++) {
        run += c->diff[x];
        c->v[x] = fmax(c->v[x] + run, 0);
    }
}

/* A row of bars H high around Y: columns of like shade become one stroke. */
static void draw_bars(const struct panel *p, const struct cols *c, const char *class, int y, int h)
{
    uint8_t shade[COLS + 1];
    for (int x = 0; x < COLS; x++)
        shade[x] = c->v[x] > 1e-9 ? (uint8_t)fmin(ceil(c->v[x] * LEVELS - 1e-6), LEVELS) : 0;
    shade[COLS] = 0;
    for (int level = 1; level <= LEVELS; level++) {
        int end = -1;
        for (int x = 0, from; x < COLS; x++) {
            if (shade[x] != level)
                continue;
            for (from = x; shade[x + 1] == level;)
                x++;
            if (end < 0)
                fprintf(p->out, "<path class=\"bars %s\" stroke-width=\"%d\" stroke-opacity=\"%.2f\" d=\"M%d %g", class, h,
                        (double)level / LEVELS, LEFT + from, y + h / 2.0);
            else
                fprintf(p->out, "m%d 0", from - end);
            fprintf(p->out, "h%d", x + 1 - from);
            end = x + 1;
        }
        if (end >= 0)
            fputs("\"/>\n", p->out);
    }
}

/* Reads, darker the more of them were in flight.  Where both kinds were, pins have the lower part. */
static void draw_disk(const struct panel *p, int y, int h)
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
    for (int x = 0; x < COLS; x++) {
        /* The mean of the reads in flight counts idle time as none, so both terms shrink with it. */
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

static void draw_ring(const struct panel *p, int y, int h)
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_RING];
    struct cols c = { 0 };
    if (!(p->t->ring_max > 0))
        return;
    for (size_t i = 0; i < l->n; i++)
        add(&c, p, l->v[i].t0, i + 1 < l->n ? l->v[i + 1].t0 : p->t->seconds, l->v[i].value / p->t->ring_max);
    finish(&c);
    fprintf(p->out, "<path class=\"ring\" d=\"M%d %d", LEFT, y + h);
    int last = 0, from = 0; /* half pixels */
    for (int x = 0; x < COLS; x++) {
        const int v = (int)lround(fmin(c.v[x], 1) * 2 * h);
        if (v != last) {
            if (x > from)
                fprintf(p->out, "H%d", LEFT + x);
            fprintf(p->out, "V%g", y + h - v / 2.0);
            from = x;
            last = v;
        }
    }
    fprintf(p->out, "H%dV%dz\"/>\n", LEFT + COLS, y + h);
}

static void draw_kind(const struct panel *p, enum weir_tl_kind k, const char *class, int y, int h)
{
    struct cols c = { 0 };
    add_list(&c, p, &p->t->kind[k]);
    finish(&c);
    if (k == WEIR_TL_STALL) /* short ones matter: one in a hundred must still be seen */
        for (int x = 0; x < COLS; x++)
            c.v[x] = c.v[x] > 0.002 ? 0.15 + 0.85 * c.v[x] : c.v[x];
    draw_bars(p, &c, class, y, h);
}

/* ---- lanes ---- */

static void text(const struct panel *p, const char *class, double x, int y, const char *anchor, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
static void text(const struct panel *p, const char *class, double x, int y, const char *anchor, const char *format, ...)
{
    va_list ap;
    fprintf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", class, x, y, anchor);
    va_start(ap, format);
    vfprintf(p->out, format, ap);
    va_end(ap);
    fputs("</text>\n", p->out);
}

/* A lane's ground and labels, in a group that draws what follows until lane_end. */
static void lane(const struct panel *p, const char *name, const char *figure, int y, int h, const char *tip)
{
    fprintf(p->out, "<g><title>%s: %s</title><rect class=\"lane\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", name, tip,
            LEFT, y, COLS, h);
    text(p, "name", 16, y + (h < 28 ? h / 2 + 5 : h / 2 - 2), "start", "%s", name);
    if (h < 28)
        text(p, "fig", LEFT - 8, y + h / 2 + 5, "end", "%s", figure);
    else
        text(p, "fig", 16, y + h / 2 + 13, "start", "%s", figure);
}

static void lane_end(const struct panel *p) { fputs("</g>\n", p->out); }

/* 1, 2, 5, 10, ... times BASE, at least LEAST. */
static double round_step(double base, double least)
{
    double step = base;
    for (int i = 0; step < least && i < 60; i++)
        step *= i % 3 == 1 ? 2.5 : 2;
    return step;
}

/* Which tokens get a number: enough to find one's way, with room for the digits. */
static size_t number_step(const struct panel *p, size_t *ret_line_step)
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_TOKEN];
    double width = 0;
    size_t n = 0;
    for (size_t i = 0; i < l->n && l->v[i].t0 < p->sum.t1; i++)
        if (l->v[i].t1 > p->sum.t0) {
            n++;
            width = fmax(width, column(p, l->v[i].t1));
        }
    const double each = n ? fmax(width - column(p, l->v[0].t0), 1) / (double)n : COLS;
    const size_t step = (size_t)round_step(1, (l->n > 999 ? 44 : 26) / each);
    *ret_line_step = each >= 5 ? 1 : step;
    return step;
}

/* The band of passes at y, and a line at the start of each through everything below it. */
static void draw_passes(const struct panel *p, int y, int h, int bottom)
{
    const struct weir_tl_list *pre = &p->t->kind[WEIR_TL_PREFILL], *tok = &p->t->kind[WEIR_TL_TOKEN];
    bool mark[COLS + 1] = { false };
    size_t line_step;
    const size_t step = number_step(p, &line_step);
    double free_from = LEFT; /* of text */
    for (size_t i = 0; i < pre->n; i++) {
        const double x0 = LEFT + column(p, pre->v[i].t0), x1 = LEFT + column(p, pre->v[i].t1);
        char label[64];
        if (!(x1 > x0) || pre->v[i].t1 <= p->sum.t0)
            continue;
        mark[(int)(x0 - LEFT)] = mark[(int)(x1 - LEFT)] = true;
        int n = snprintf(label, sizeof(label), "prefill, %.0f tokens", pre->v[i].value);
        if (n * CHAR_PX > x1 - x0)
            n = snprintf(label, sizeof(label), "prefill");
        if (n * CHAR_PX > x1 - x0 || x0 < free_from)
            continue;
        text(p, "num", (x0 + x1) / 2, y + h - 4, "middle", "%s", label);
        free_from = x1;
    }
    free_from = LEFT;
    for (size_t i = 0; i < tok->n; i++) {
        const double x0 = LEFT + column(p, tok->v[i].t0), x1 = LEFT + column(p, tok->v[i].t1);
        if (tok->v[i].t1 <= p->sum.t0 || tok->v[i].t0 >= p->sum.t1)
            continue;
        if (i + 1 == tok->n)
            mark[(int)(x1 - LEFT)] = true;
        if (i && (i + 1) % line_step)
            continue;
        mark[(int)(x0 - LEFT)] = true;
        /* In the middle of a wide token, else where the token begins. */
        char label[32];
        const double w = CHAR_PX * (snprintf(label, sizeof(label), "%zu", i + 1) + 1);
        const double at = step == 1 ? (x0 + x1) / 2 - w / 2 : x0;
        if ((step == 1 && x1 - x0 < w) || (i && (i + 1) % step) || at < free_from || at + w > LEFT + COLS)
            continue;
        text(p, "num", at + w / 2, y + h - 4, "middle", "%s", label);
        free_from = at + w;
    }
    fputs("<path class=\"bars cut\" d=\"", p->out);
    for (int x = 0, last = -9; x <= COLS; x++)
        if (mark[x] && x - last >= 4) {
            fprintf(p->out, "M%d.5 %dV%d", LEFT + x, y, bottom);
            last = x;
        }
    fputs("\"/>\n", p->out);
}

static void draw_axis(const struct panel *p, int y)
{
    static const double long_steps[] = { 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000 };
    const double least = (p->sum.t1 - p->sum.t0) / 11;
    double step = round_step(1e-9, least);
    if (step > 50) { /* minutes and hours go by sixties */
        step = round_step(36000, least);
        for (int i = 9; i >= 0 && long_steps[i] >= least; i--)
            step = long_steps[i];
    }
    const double end = p->sum.t1;
    const double unit = step >= 3600 ? 3600 : step >= 60 ? 60 : end >= 1 ? 1 : end >= 1e-3 ? 1e-3 : 1e-6;
    const char *name = unit == 3600 ? "h" : unit == 60 ? "min" : unit == 1 ? "s" : unit == 1e-3 ? "ms" : "µs";
    int digits = 0;
    for (double s = step / unit; digits < 9 && fabs(s - round(s)) > 1e-6 * s; digits++)
        s *= 10;
    fprintf(p->out, "<path class=\"bars axis\" d=\"M%d %d.5h%d\"/>\n", LEFT, y, COLS);
    const double first = ceil(p->sum.t0 / step - 1e-9);
    for (int i = 0; i < 40 && (first + i) * step <= end * (1 + 1e-12); i++) {
        const double at = (first + i) * step, x = LEFT + column(p, at);
        fprintf(p->out, "<path class=\"bars axis\" d=\"M%d.5 %dv6\"/>\n", (int)x, y);
        text(p, "tick", x, y + 19, "middle", "%.*f %s", digits, at / unit, name);
    }
}

/* ---- the picture ---- */

/* NAME's end: of a long path the end says most. */
static const char *tail(const char *name, size_t max)
{
    const size_t n = strlen(name);
    if (n <= max)
        return name;
    const char *p = name + n - max;
    while (((unsigned char)*p & 0xc0) == 0x80)
        p++; /* not in the middle of a character */
    return p;
}

enum { PASS_H = 20, DISK_H = 32, RING_H = 46, ROW_H = 18, STALL_H = 22, GAP = 7, AXIS_H = 26, ZOOM_H = 92 };

static int panel_height(const struct weir_tl *t)
{
    const int rows = t->n_event[WEIR_TL_OTHER] ? 3 : 2;
    return PASS_H + DISK_H + RING_H + rows * ROW_H + STALL_H + 5 * GAP + AXIS_H;
}

static void draw_panel(const struct panel *p)
{
    const struct weir_tl *t = p->t;
    const struct weir_tl_sum *s = &p->sum;
    const double span = s->t1 - s->t0;
    const struct weir_tl_word run = weir_tl_seconds(span);
    char tip[400];
    int y = p->y;
    snprintf(tip, sizeof(tip), "%zu of prompts (prefill), %zu of one token each", t->n_event[WEIR_TL_PREFILL], t->n_event[WEIR_TL_TOKEN]);
    lane(p, "passes", "", y, PASS_H, tip);
    draw_kind(p, WEIR_TL_PREFILL, "prefill", y, PASS_H);
    lane_end(p);
    y += PASS_H + GAP;

    snprintf(tip, sizeof(tip), "busy %s of %s; %zu reads ended here, %s, %s while busy; at most %zu in flight at once",
             weir_tl_percent(s->disk, span).s, run.s, s->n_read, weir_tl_bytes(s->bytes, "").s, weir_tl_bytes(s->disk > 0 ? s->bytes / s->disk : 0, "/s").s, t->depth);
    struct weir_tl_word w = weir_tl_percent(s->disk, span);
    char figure[64];
    snprintf(figure, sizeof(figure), "%s busy", w.s);
    lane(p, "disk", figure, y, DISK_H, tip);
    draw_disk(p, y, DISK_H);
    lane_end(p);
    y += DISK_H + GAP;

    w = weir_tl_bytes(t->ring_max, "");
    snprintf(tip, sizeof(tip), "bytes read and not yet used, as of the last arrival; at most %s; %zu samples in all", w.s, t->n_event[WEIR_TL_RING]);
    snprintf(figure, sizeof(figure), t->n_event[WEIR_TL_RING] ? "max %s" : "not recorded%.0s", w.s);
    lane(p, "ring", figure, y, RING_H, tip);
    draw_ring(p, y, RING_H);
    lane_end(p);
    y += RING_H + GAP;

    const int rows = t->n_event[WEIR_TL_OTHER] ? 3 : 2;
    static const char *const kernel[] = { "matmul", "attention", "other" };
    snprintf(tip, sizeof(tip), "busy %s of %s: matmul %s, attention %s, other %s; the time it waited for the disk is not counted",
             weir_tl_percent(s->compute, span).s, run.s, weir_tl_seconds(s->busy[WEIR_TL_MATMUL]).s, weir_tl_seconds(s->busy[WEIR_TL_ATTENTION]).s, weir_tl_seconds(s->busy[WEIR_TL_OTHER]).s);
    snprintf(figure, sizeof(figure), "%s", weir_tl_percent(s->compute, span).s);
    lane(p, "compute", figure, y, rows * ROW_H, tip);
    for (int k = 0; k < rows; k++, y += ROW_H) {
        text(p, "fig", LEFT - 8, y + 13, "end", "%s", kernel[k]);
        draw_kind(p, (enum weir_tl_kind)(WEIR_TL_MATMUL + k), kernel[k], y + (k > 0), ROW_H - (k > 0));
    }
    lane_end(p);
    y += GAP;

    snprintf(tip, sizeof(tip), "compute waited for the disk %s, %s of %s; %zu waits in the whole run",
             weir_tl_seconds(s->busy[WEIR_TL_STALL]).s, weir_tl_percent(s->busy[WEIR_TL_STALL], span).s, run.s, t->n_event[WEIR_TL_STALL]);
    w = s->busy[WEIR_TL_STALL] > 0 ? weir_tl_seconds(s->busy[WEIR_TL_STALL]) : (struct weir_tl_word){ "none" };
    lane(p, "stall", w.s, y, STALL_H, tip);
    draw_kind(p, WEIR_TL_STALL, "stall", y, STALL_H);
    lane_end(p);
    y += STALL_H;
    draw_passes(p, p->y, PASS_H, y);
    draw_axis(p, y + GAP);
}

/* Three tokens in the middle, where there are many more than that. */
static bool choose_zoom(const struct weir_tl *t, size_t *ret_first, double *ret_t0, double *ret_t1)
{
    const struct weir_tl_list *l = &t->kind[WEIR_TL_TOKEN];
    if (l->n < 6)
        return false;
    const size_t first = l->n / 2 - 1;
    double t0 = l->v[first].t0, t1 = t0;
    for (size_t i = first; i < first + 3; i++)
        t1 = fmax(t1, l->v[i].t1);
    const double margin = 0.01 * (t1 - t0);
    t0 = fmax(t0 - margin, 0);
    t1 = fmin(t1 + margin, t->seconds);
    if (!(t1 - t0 > 1e-8 && t1 - t0 < 0.7 * t->seconds))
        return false;
    *ret_first = first;
    *ret_t0 = t0;
    *ret_t1 = t1;
    return true;
}

static void draw_legend(const struct panel *p)
{
    static const struct { const char *class, *words; enum weir_tl_kind k; } item[] = {
        { "prefill", "prefill pass (the prompt)", WEIR_TL_PREFILL },
        { "pin", "read that stays in memory (pin)", WEIR_TL_PIN },
        { "read", "streamed read", WEIR_TL_READ },
        { "ringkey", "ready in the ring", WEIR_TL_RING },
        { "matmul", "matmul", WEIR_TL_MATMUL },
        { "attention", "attention", WEIR_TL_ATTENTION },
        { "other", "other kernels", WEIR_TL_OTHER },
        { "stall", "compute waits for the disk", WEIR_TL_STALL },
    };
    double x = LEFT;
    for (size_t i = 0; i < sizeof(item) / sizeof(item[0]); i++)
        if (p->t->n_event[item[i].k]) {
            fprintf(p->out, "<rect class=\"%s\" x=\"%.0f\" y=\"%d\" width=\"14\" height=\"12\" stroke=\"none\"/>\n", item[i].class, x, p->y);
            text(p, "key", x + 19, p->y + 10, "start", "%s", item[i].words);
            x += 40 + CHAR_PX * (double)strlen(item[i].words);
        }
    text(p, "key", LEFT, p->y + 31, "start", "Paler: busy for less of that pixel's time; on the disk also: fewer reads in "
         "flight. Vertical lines: where a pass begins. Times are since the first event.");
}

static void line(FILE *out, const char *class, int y)
{
    fprintf(out, "<text class=\"%s\" x=\"16\" y=\"%d\">", class, y);
}

static void draw_head(const struct panel *p, const char *name, int height)
{
    FILE *out = p->out;
    const char *end = tail(name, 80);
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
            WIDTH, height, WIDTH, height);
    fputs("<title>weir timeline: ", out);
    weir_tl_escape(out, end);
    fprintf(out, "</title>\n<style>%s</style>\n<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n", STYLE, WIDTH, height);
    line(out, "h1", 34);
    fputs(end == name ? "Timeline of " : "Timeline of …", out);
    weir_tl_escape(out, end);
    fputs("</text>\n", out);
    line(out, "h2", 60);
    weir_tl_say_hidden(out, p->t, &p->sum);
    fputs("</text>\n", out);
    line(out, "h2", 80);
    weir_tl_say_amounts(out, p->t, &p->sum);
    fputs("</text>\n", out);
    line(out, "h2", 100);
    weir_tl_say_tokens(out, p->t);
    fputs("</text>\n", out);
    line(out, "h2", 120);
    weir_tl_say_gaps(out, p->t);
    fputs("</text>\n", out);
}

/* The part from T0 to T1 below the panel *P, which becomes the panel of that part. */
static void draw_zoom(struct panel *p, size_t first, double t0, double t1)
{
    const double x0 = LEFT + column(p, t0), x1 = fmax(LEFT + column(p, t1), x0 + 2);
    const int top = p->y + panel_height(p->t) - 2, y = p->y + panel_height(p->t) + ZOOM_H;
    /* A bracket under the overview says which part is enlarged. */
    fprintf(p->out, "<path class=\"zoom\" fill=\"none\" d=\"M%d %dv-6L%.1f %dv-6M%d %dv-6L%.1f %dv-6\"/>\n", LEFT, top + 34, x0,
            top + 6, LEFT + COLS, top + 34, x1, top + 6);
    p->y = y;
    weir_tl_sum(p->t, t0, t1, &p->sum);
    line(p->out, "h3", y - 34);
    fprintf(p->out, "Tokens %zu to %zu, enlarged</text>\n", first + 1, first + 3);
    line(p->out, "h2", y - 14);
    weir_tl_say_hidden(p->out, p->t, &p->sum);
    fputs("</text>\n", p->out);
    draw_panel(p);
}

void weir_tl_draw(const struct weir_tl *t, const char *name, FILE *out)
{
    struct panel p = { .out = out, .t = t, .y = t->n_odd || t->n_dropped ? 140 : 120 };
    const int panel = panel_height(t);
    size_t first = 0;
    double t0 = 0, t1 = 0;
    const bool zoom = choose_zoom(t, &first, &t0, &t1);
    weir_tl_sum(t, 0, t->seconds, &p.sum);
    draw_head(&p, name, p.y + panel + (zoom ? ZOOM_H + panel : 0) + 58);
    draw_panel(&p);
    if (zoom)
        draw_zoom(&p, first, t0, t1);
    p.y += panel + 16;
    draw_legend(&p);
    fputs("</svg>\n", out);
}
