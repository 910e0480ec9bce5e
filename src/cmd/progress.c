/* SPDX-License-Identifier: MIT
 * Owns the progress line. */
#include "config.h"

#include "src/cmd/progress.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/cmd/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_NS UINT64_C(200000000)

void weir_progress_init(struct weir_progress *p, bool quiet)
{
    const char *term = getenv("TERM");
    *p = (struct weir_progress){ .on = !quiet && isatty(STDERR_FILENO) &&
                                       !(term && !strcmp(term, "dumb")),
                                 .start_ns = weir_now_ns() };
}

void weir_progress_show(struct weir_progress *p, const char *what, uint64_t done, uint64_t total,
                        const char *unit)
{
    const uint64_t now = weir_now_ns();
    if (!p->on || !total || (p->shown && now - p->last_ns < REDRAW_NS) ||
        (!p->shown && now - p->start_ns < (p->patience_ns ? p->patience_ns : REDRAW_NS)))
        return;
    if (!p->shown && p->before)
        p->before(p->arg);
    const double s = (double)(now - p->start_ns) / 1e9,
                 rate = done > p->base ? (double)(done - p->base) / s : 0;
    char head[256], amount[96], left[32] = "", a[WEIR_SIZE_STR], b[WEIR_SIZE_STR], c[WEIR_SIZE_STR];
    if (done > total)
        done = total;
    if (*unit == 'B')
        snprintf(amount, sizeof(amount), "%s of %s, %s/s", weir_size_format(done, a, sizeof(a)),
                 weir_size_format(total, b, sizeof(b)),
                 weir_size_format((uint64_t)rate, c, sizeof(c)));
    else
        snprintf(amount, sizeof(amount), "%llu of %llu %s, %.1f/s", (unsigned long long)done,
                 (unsigned long long)total, unit, rate);
    const int n_head =
        snprintf(head, sizeof(head), "%s %3.0f %%", what, 100.0 * (double)done / (double)total);
    if (done && rate > 0)
        snprintf(left, sizeof(left), "%.0f s left", (double)(total - done) / rate);
    /* A line that wraps could not be drawn over: what matters least is left out. */
    const unsigned known = weir_wrap_cols(stderr), cols = known ? known : 80;
    const char *comma = *left ? ", " : "";
    if ((unsigned)n_head + strlen(amount) + strlen(comma) + strlen(left) + 3 < cols)
        fprintf(stderr, "\r%s (%s%s%s)\033[K", head, amount, comma, left);
    else if (*left && (unsigned)n_head + strlen(left) + 3 < cols)
        fprintf(stderr, "\r%s (%s)\033[K", head, left);
    else
        fprintf(stderr, "\r%.*s\033[K", (int)cols - 1, head);
    fflush(stderr);
    p->shown = true;
    p->last_ns = now;
}

void weir_progress_wipe(struct weir_progress *p)
{
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->shown = false;
    p->last_ns = weir_now_ns();
}
