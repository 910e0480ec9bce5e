/* SPDX-License-Identifier: MIT
 * Owns how a timeline looks: the heading, the lanes and their labels, the axis, the enlarged part,
 * the colours (Okabe and Ito's, more or less: told apart with any colour vision).  The words are
 * timeline_words.c's, the insides of the lanes timeline_bars.c's. */
#include "config.h"

#include "src/cmd/timeline_svg.h"

#include "src/cmd/timeline_bars.h"
#include "src/cmd/timeline_words.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH   1240
#define LEFT    WEIR_TL_LEFT
#define COLS    WEIR_TL_COLS
#define CHAR_PX 6.3 /* an average character of the small text, on the generous side */

/* clang-format off */
static const char STYLE[] =
    "text{font:11.5px system-ui,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif;"
    "fill:#4a5058}"
    ".h1,.h2,.h3,.name{fill:#16181b}.h1,.h3,.name{font-weight:600}"
    ".h1{font-size:19px}.h2{font-size:14px}.h3{font-size:14px}.name{font-size:12.5px}"
    ".bg{fill:#fff}"
    ".lane{fill:#f1f3f5}"
    ".prefill{stroke:#c9b458;fill:#c9b458}"
    ".pin{stroke:#e69f00;fill:#e69f00}"
    ".read{stroke:#0072b2;fill:#0072b2}"
    ".ring{stroke:#2a86bd;fill:#56b4e9;fill-opacity:.5}"
    ".bus{stroke:#8f6bb8;fill:#8f6bb8}"
    ".matmul,.gpu{stroke:#009e73;fill:#009e73}"
    ".attention{stroke:#b0589b;fill:#b0589b}"
    ".other{stroke:#7a828c;fill:#7a828c}"
    ".stall{stroke:#d4230e;fill:#d4230e}"
    ".cut{stroke:#16181b;stroke-opacity:.3}"
    ".axis,.zoom{stroke:#868e96}"
    "@media(prefers-color-scheme:dark){"
    "text{fill:#b4bcc6}"
    ".h1,.h2,.h3,.name{fill:#f0f3f6}"
    ".bg{fill:#14171b}"
    ".lane{fill:#20252b}"
    ".prefill{stroke:#6b5f27;fill:#6b5f27}"
    ".pin{stroke:#f2b134;fill:#f2b134}"
    ".read{stroke:#3590d8;fill:#3590d8}"
    ".bus{stroke:#b394d6;fill:#b394d6}"
    ".matmul,.gpu{stroke:#25b98e;fill:#25b98e}"
    ".attention{stroke:#dd8cc7;fill:#dd8cc7}"
    ".other{stroke:#98a1ac;fill:#98a1ac}"
    ".stall{stroke:#ff5c47;fill:#ff5c47}"
    ".cut{stroke:#f0f3f6}}"
    ".bars{fill:none;shape-rendering:crispEdges}"; /* last: strokes only */
/* clang-format on */

/* ---- lanes ---- */

static void text(const struct weir_tl_panel *p, const char *class, double x, int y,
                 const char *anchor, const char *format, ...) __attribute__((format(printf, 6, 7)));
static void text(const struct weir_tl_panel *p, const char *class, double x, int y,
                 const char *anchor, const char *format, ...)
{
    va_list ap;
    fprintf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", class, x, y,
            anchor);
    va_start(ap, format);
    vfprintf(p->out, format, ap);
    va_end(ap);
    fputs("</text>\n", p->out);
}

/* A lane's ground and labels, in a group that draws what follows until lane_end. */
static void lane(const struct weir_tl_panel *p, const char *name, const char *figure, int y, int h,
                 const char *tip)
{
    fprintf(p->out,
            "<g><title>%s: %s</title><rect class=\"lane\" x=\"%d\" y=\"%d\" width=\"%d\" "
            "height=\"%d\"/>\n",
            name, tip, LEFT, y, COLS, h);
    text(p, "name", 16, y + (h < 28 ? h / 2 + 5 : h / 2 - 2), "start", "%s", name);
    if (h < 28)
        text(p, "fig", LEFT - 8, y + h / 2 + 5, "end", "%s", figure);
    else
        text(p, "fig", 16, y + h / 2 + 13, "start", "%s", figure);
}

static void lane_end(const struct weir_tl_panel *p) { fputs("</g>\n", p->out); }

/* 1, 2, 5, 10, ... times BASE, at least LEAST. */
static double round_step(double base, double least)
{
    double step = base;
    for (int i = 0; step < least && i < 60; i++)
        step *= i % 3 == 1 ? 2.5 : 2;
    return step;
}

/* Which tokens get a number: enough to find one's way, with room for the digits. */
static size_t number_step(const struct weir_tl_panel *p, size_t *ret_line_step)
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_TOKEN];
    double width = 0;
    size_t n = 0;
    for (size_t i = 0; i < l->n && l->v[i].t0 < p->sum.t1; i++)
        if (l->v[i].t1 > p->sum.t0) {
            n++;
            width = fmax(width, weir_tl_column(p, l->v[i].t1));
        }
    const double each = n ? fmax(width - weir_tl_column(p, l->v[0].t0), 1) / (double)n : COLS;
    const size_t step = (size_t)round_step(1, (l->n > 999 ? 44 : 26) / each);
    *ret_line_step = each >= 5 ? 1 : step;
    return step;
}

/* Name the prefill passes where there is room, Y being the line of the text, and set MARK[column]
 * where one begins or ends. */
static void label_prefills(const struct weir_tl_panel *p, int y, bool mark[COLS + 1])
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_PREFILL];
    double free_from = 0;
    for (size_t i = 0; i < l->n; i++) {
        const double x0 = weir_tl_column(p, l->v[i].t0), x1 = weir_tl_column(p, l->v[i].t1);
        char label[64];
        if (!(x1 > x0))
            continue;
        mark[(int)x0] = mark[(int)x1] = true;
        int n = snprintf(label, sizeof(label), "prefill, %.0f tokens", l->v[i].value);
        if (n * CHAR_PX > x1 - x0)
            n = snprintf(label, sizeof(label), "prefill");
        if (n * CHAR_PX > x1 - x0 || x0 < free_from)
            continue;
        text(p, "num", LEFT + (x0 + x1) / 2, y, "middle", "%s", label);
        free_from = x1;
    }
}

/* The same for the tokens, which have numbers. */
static void label_tokens(const struct weir_tl_panel *p, int y, bool mark[COLS + 1])
{
    const struct weir_tl_list *l = &p->t->kind[WEIR_TL_TOKEN];
    size_t line_step;
    const size_t step = number_step(p, &line_step);
    double free_from = 0;
    for (size_t i = 0; i < l->n; i++) {
        const double x0 = weir_tl_column(p, l->v[i].t0), x1 = weir_tl_column(p, l->v[i].t1);
        if (l->v[i].t1 <= p->sum.t0 || l->v[i].t0 >= p->sum.t1)
            continue;
        if (i + 1 == l->n)
            mark[(int)x1] = true;
        if (i && (i + 1) % line_step)
            continue;
        mark[(int)x0] = true;
        if (i && (i + 1) % step)
            continue;
        /* In the middle of the token when each has a number, else where it begins. */
        char label[32];
        const double w = CHAR_PX * (snprintf(label, sizeof(label), "%zu", i + 1) + 1);
        const double at = step == 1 ? (x0 + x1) / 2 - w / 2 : x0;
        if ((step == 1 && x1 - x0 < w) || at < free_from || at + w > COLS)
            continue;
        text(p, "num", LEFT + at + w / 2, y, "middle", "%s", label);
        free_from = at + w;
    }
}

/* What is written in the band of passes, H high, and a line at the start of each down to BOTTOM. */
static void draw_passes(const struct weir_tl_panel *p, int h, int bottom)
{
    bool mark[COLS + 1] = { false };
    label_prefills(p, p->y + h - 5, mark);
    label_tokens(p, p->y + h - 5, mark);
    fputs("<path class=\"bars cut\" d=\"", p->out);
    for (int x = 0, last = -9; x <= COLS; x++)
        if (mark[x] && x - last >= 4) {
            fprintf(p->out, "M%d.5 %dV%d", LEFT + x, p->y, bottom);
            last = x;
        }
    fputs("\"/>\n", p->out);
}

static void draw_axis(const struct weir_tl_panel *p, int y)
{
    static const double long_steps[] = { 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000 };
    /* Minutes and hours only for steps of whole ones. */
    static const struct {
        double seconds, at_least;
        const char *name;
    } unit[] = {
        { 3600, 3600, "h" },  { 60, 60, "min" }, { 1, 1, "s" },
        { 1e-3, 1e-3, "ms" }, { 1e-6, 0, "µs" },
    };
    const double least = (p->sum.t1 - p->sum.t0) / 11;
    double step = round_step(1e-9, least);
    if (step > 50) { /* minutes and hours go by sixties */
        step = round_step(36000, least);
        for (int i = 9; i >= 0 && long_steps[i] >= least; i--)
            step = long_steps[i];
    }
    const double end = p->sum.t1;
    int u = 0;
    while (unit[u].at_least > (u < 2 ? step : end))
        u++;
    int digits = 0;
    for (double s = step / unit[u].seconds; digits < 9 && fabs(s - round(s)) > 1e-6 * s; digits++)
        s *= 10;
    fprintf(p->out, "<path class=\"bars axis\" d=\"M%d %d.5h%d\"/>\n", LEFT, y, COLS);
    const double first = ceil(p->sum.t0 / step - 1e-9);
    for (int i = 0; i < 40 && (first + i) * step <= end * (1 + 1e-12); i++) {
        const double at = (first + i) * step, x = LEFT + weir_tl_column(p, at);
        fprintf(p->out, "<path class=\"bars axis\" d=\"M%d.5 %dv6\"/>\n", (int)x, y);
        char label[48];
        const double w = CHAR_PX * snprintf(label, sizeof(label), "%.*f %s", digits,
                                            at / unit[u].seconds, unit[u].name);
        text(p, "tick", fmin(x, WIDTH - 2 - w / 2), y + 19, "middle", "%s", label);
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

enum { PASS_H = 20, DISK_H = 32, RING_H = 46, BUS_H = 24, ROW_H = 18, GPU_H = 24, STALL_H = 22 };
enum { GAP = 7, AXIS_H = 26, ZOOM_H = 92 };

#define TIP 400

static int kernel_rows(const struct weir_tl *t) { return t->n_event[WEIR_TL_OTHER] ? 3 : 2; }

/* Did a GPU compute?  It has a lane of its own, and so has the bus; then the CPU has none. */
static bool on_gpu(const struct weir_tl *t)
{
    return t->n_event[WEIR_TL_GPU] || t->n_event[WEIR_TL_BUS];
}

static int panel_height(const struct weir_tl *t)
{
    const int compute = on_gpu(t) ? BUS_H + GAP + GPU_H : kernel_rows(t) * ROW_H;
    return PASS_H + DISK_H + RING_H + compute + STALL_H + 5 * GAP + AXIS_H;
}

/* Each of these draws a lane at Y and answers where the next one goes. */

static int lane_passes(const struct weir_tl_panel *p, int y)
{
    const size_t *n = p->t->n_event;
    char tip[TIP];
    snprintf(tip, sizeof(tip), "%zu of prompts (prefill), %zu of one token each",
             n[WEIR_TL_PREFILL], n[WEIR_TL_TOKEN]);
    lane(p, "passes", "", y, PASS_H, tip);
    weir_tl_draw_kind(p, WEIR_TL_PREFILL, "prefill", y, PASS_H);
    lane_end(p);
    return y + PASS_H + GAP;
}

static int lane_disk(const struct weir_tl_panel *p, int y)
{
    const struct weir_tl_sum *s = &p->sum;
    const struct weir_tl_word busy = weir_tl_percent(s->disk, s->t1 - s->t0);
    const double rate = s->disk > 0 ? s->bytes / s->disk : 0;
    char tip[TIP], figure[TIP];
    snprintf(
        tip, sizeof(tip),
        "busy %s of %s; %zu reads ended here, %s, %s while busy; at most %zu in flight at once",
        busy.s, weir_tl_seconds(s->t1 - s->t0).s, s->n_read, weir_tl_bytes(s->bytes, "").s,
        weir_tl_bytes(rate, "/s").s, p->t->depth);
    snprintf(figure, sizeof(figure), "%s busy", busy.s);
    lane(p, "disk", figure, y, DISK_H, tip);
    weir_tl_draw_disk(p, y, DISK_H);
    lane_end(p);
    return y + DISK_H + GAP;
}

static int lane_ring(const struct weir_tl_panel *p, int y)
{
    const size_t n = p->t->n_event[WEIR_TL_RING];
    const struct weir_tl_word max = weir_tl_bytes(p->t->ring_max, "");
    char tip[TIP], figure[TIP] = "not recorded";
    snprintf(tip, sizeof(tip),
             "bytes read and not yet used, as of the last arrival; at most %s; %zu samples in all",
             max.s, n);
    if (n)
        snprintf(figure, sizeof(figure), "max %s", max.s);
    lane(p, "ring", figure, y, RING_H, tip);
    weir_tl_draw_ring(p, y, RING_H);
    lane_end(p);
    return y + RING_H + GAP;
}

static int lane_bus(const struct weir_tl_panel *p, int y)
{
    const double span = p->sum.t1 - p->sum.t0, busy = p->sum.busy[WEIR_TL_BUS];
    const struct weir_tl_word w = weir_tl_percent(busy, span);
    char tip[TIP];
    snprintf(tip, sizeof(tip), "busy %s of %s; %zu copies in the whole run, %s", w.s,
             weir_tl_seconds(span).s, p->t->n_event[WEIR_TL_BUS],
             weir_tl_bytes(p->t->bus_bytes, "").s);
    lane(p, "bus", w.s, y, BUS_H, tip);
    weir_tl_draw_kind(p, WEIR_TL_BUS, "bus", y, BUS_H);
    lane_end(p);
    return y + BUS_H + GAP;
}

static int lane_gpu(const struct weir_tl_panel *p, int y)
{
    const double span = p->sum.t1 - p->sum.t0;
    const struct weir_tl_word w = weir_tl_percent(p->sum.compute, span);
    char tip[TIP];
    snprintf(tip, sizeof(tip), "busy with weights %s of %s; waiting for them is not counted", w.s,
             weir_tl_seconds(span).s);
    lane(p, "gpu", w.s, y, GPU_H, tip);
    weir_tl_draw_kind(p, WEIR_TL_GPU, "gpu", y, GPU_H);
    lane_end(p);
    return y + GPU_H + GAP;
}

static int lane_compute(const struct weir_tl_panel *p, int y)
{
    static const char *const kernel[] = { "matmul", "attention", "other" };
    const struct weir_tl_sum *s = &p->sum;
    const struct weir_tl_word busy = weir_tl_percent(s->compute, s->t1 - s->t0);
    const int rows = kernel_rows(p->t);
    char tip[TIP];
    snprintf(
        tip, sizeof(tip),
        "busy %s of %s: matmul %s, attention %s, other %s; waiting for the disk is not counted",
        busy.s, weir_tl_seconds(s->t1 - s->t0).s, weir_tl_seconds(s->busy[WEIR_TL_MATMUL]).s,
        weir_tl_seconds(s->busy[WEIR_TL_ATTENTION]).s, weir_tl_seconds(s->busy[WEIR_TL_OTHER]).s);
    lane(p, "compute", busy.s, y, rows * ROW_H, tip);
    for (int k = 0; k < rows; k++, y += ROW_H) {
        text(p, "fig", LEFT - 8, y + 13, "end", "%s", kernel[k]);
        weir_tl_draw_kind(p, (enum weir_tl_kind)(WEIR_TL_MATMUL + k), kernel[k], y + (k > 0),
                          ROW_H - (k > 0));
    }
    lane_end(p);
    return y + GAP;
}

static int lane_stall(const struct weir_tl_panel *p, int y)
{
    const double span = p->sum.t1 - p->sum.t0, stall = p->sum.busy[WEIR_TL_STALL];
    const struct weir_tl_word w = weir_tl_seconds(stall);
    char tip[TIP];
    snprintf(tip, sizeof(tip), "compute waited for %s %s, %s of %s; %zu waits in the whole run",
             on_gpu(p->t) ? "weights" : "the disk", w.s, weir_tl_percent(stall, span).s,
             weir_tl_seconds(span).s, p->t->n_event[WEIR_TL_STALL]);
    lane(p, "stall", stall > 0 ? w.s : "none", y, STALL_H, tip);
    weir_tl_draw_kind(p, WEIR_TL_STALL, "stall", y, STALL_H);
    lane_end(p);
    return y + STALL_H + GAP;
}

static void draw_panel(const struct weir_tl_panel *p)
{
    int y = lane_passes(p, p->y);
    y = lane_disk(p, y);
    y = lane_ring(p, y);
    if (on_gpu(p->t))
        y = lane_gpu(p, lane_bus(p, y));
    else
        y = lane_compute(p, y);
    y = lane_stall(p, y);
    draw_passes(p, PASS_H, y - GAP);
    draw_axis(p, y);
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

static void draw_legend(const struct weir_tl_panel *p)
{
    const struct {
        const char *class, *words;
        enum weir_tl_kind k;
    } item[] = {
        { "prefill", "prefill pass", WEIR_TL_PREFILL },
        { "pin", "pinned read (stays in memory)", WEIR_TL_PIN },
        { "read", "streamed read", WEIR_TL_READ },
        { "ring", "ready in the ring", WEIR_TL_RING },
        { "bus", "copy to the GPU", WEIR_TL_BUS },
        { "gpu", "the GPU computes", WEIR_TL_GPU },
        { "matmul", "matmul", WEIR_TL_MATMUL },
        { "attention", "attention", WEIR_TL_ATTENTION },
        { "other", "other kernels", WEIR_TL_OTHER },
        { "stall", on_gpu(p->t) ? "the GPU waits for weights" : "compute waits for the disk",
          WEIR_TL_STALL },
    };
    double x = LEFT;
    for (size_t i = 0; i < sizeof(item) / sizeof(item[0]); i++)
        if (p->t->n_event[item[i].k]) {
            fprintf(p->out, "<rect class=\"%s\" x=\"%.0f\" y=\"%d\" width=\"14\" height=\"12\"/>\n",
                    item[i].class, x, p->y);
            text(p, "key", x + 19, p->y + 10, "start", "%s", item[i].words);
            x += 36 + CHAR_PX * (double)strlen(item[i].words);
        }
    text(p, "key", LEFT, p->y + 31, "start",
         "Paler: busy for less of that pixel's time; on the disk also: fewer reads in "
         "flight. Vertical lines: where a pass begins. Times are since the first event.");
}

static void line(FILE *out, const char *class, int y)
{
    fprintf(out, "<text class=\"%s\" x=\"16\" y=\"%d\">", class, y);
}

static void line_end(FILE *out) { fputs("</text>\n", out); }

static void draw_head(FILE *out, const char *name, int height)
{
    const char *end = tail(name, 80);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" role=\"img\">\n<title>weir timeline: ",
            WIDTH, height, WIDTH, height);
    weir_tl_escape(out, end);
    fprintf(out, "</title>\n<style>%s</style>\n", STYLE);
    fprintf(out, "<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n", WIDTH, height);
    line(out, "h1", 34);
    fputs(end == name ? "Timeline of " : "Timeline of …", out);
    weir_tl_escape(out, end);
    line_end(out);
}

/* The sentences, as far as there is something to say.  Answers where the first panel goes; with OUT
 * NULL only that, as the height comes first in the file. */
static int draw_words(FILE *out, const struct weir_tl_panel *p)
{
    const struct weir_tl *t = p->t;
    int y = 60;
    for (int k = 0; k < 4; k++) {
        if ((k == 1 && !p->sum.n_read) || (k == 3 && !t->n_odd && !t->n_dropped) ||
            (k == 2 && !t->n_event[WEIR_TL_PREFILL] && !t->n_event[WEIR_TL_TOKEN]))
            continue;
        if (out) {
            line(out, "h2", y);
            if (k == 0)
                weir_tl_say_hidden(out, t, &p->sum);
            else if (k == 1)
                weir_tl_say_amounts(out, t, &p->sum);
            else if (k == 2)
                weir_tl_say_tokens(out, t);
            else
                weir_tl_say_gaps(out, t);
            line_end(out);
        }
        y += 20;
    }
    return y;
}

/* The part from T0 to T1 below the panel *P, which becomes the panel of that part. */
static void draw_zoom(struct weir_tl_panel *p, size_t first, double t0, double t1)
{
    const double x0 = LEFT + weir_tl_column(p, t0), x1 = fmax(LEFT + weir_tl_column(p, t1), x0 + 2);
    const int top = p->y + panel_height(p->t) - 2, y = p->y + panel_height(p->t) + ZOOM_H;
    /* A bracket under the overview says which part is enlarged. */
    fprintf(p->out,
            "<path class=\"zoom\" fill=\"none\" d=\"M%d %dv-6L%.1f %dv-6M%d %dv-6L%.1f %dv-6\"/>\n",
            LEFT, top + 34, x0, top + 6, LEFT + COLS, top + 34, x1, top + 6);
    p->y = y;
    weir_tl_sum(p->t, t0, t1, &p->sum);
    line(p->out, "h3", y - 34);
    fprintf(p->out, "Tokens %zu to %zu, enlarged</text>\n", first + 1, first + 3);
    line(p->out, "h2", y - 14);
    weir_tl_say_hidden(p->out, p->t, &p->sum);
    line_end(p->out);
    draw_panel(p);
}

void weir_tl_draw(const struct weir_tl *t, const char *name, FILE *out)
{
    struct weir_tl_panel p = { .out = out, .t = t };
    const int panel = panel_height(t);
    size_t first = 0;
    double t0 = 0, t1 = 0;
    const bool zoom = choose_zoom(t, &first, &t0, &t1);
    weir_tl_sum(t, 0, t->seconds, &p.sum);
    p.y = draw_words(NULL, &p);
    draw_head(out, name, p.y + panel + (zoom ? ZOOM_H + panel : 0) + 58);
    draw_words(out, &p);
    draw_panel(&p);
    if (zoom)
        draw_zoom(&p, first, t0, t1);
    p.y += panel + 16;
    draw_legend(&p);
    fputs("</svg>\n", out);
}
