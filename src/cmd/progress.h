/* SPDX-License-Identifier: MIT
 *
 * The line on stderr that says a long wait is not a hang.  Shown only on a terminal, redrawn in
 * place five times a second at most, and wiped before anything else is printed.  One thread. */
#ifndef WEIR_SRC_CMD_PROGRESS_H
#define WEIR_SRC_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct weir_progress {
    bool on;
    bool shown;
    uint64_t start_ns, last_ns;
    uint64_t base;        /* what was done before the start: not counted in the rate */
    uint64_t patience_ns; /* from the start on, in which nothing is shown; 0: as good as none */
    /* Called before the line is begun, whose place may be taken; or NULL. */
    void (*before)(void *arg);
    void *arg;
};

void weir_progress_init(struct weir_progress *p, bool quiet);
/* DONE of TOTAL (in UNIT: "B" is written as a size) of WHAT; NOTE follows, or NULL. */
void weir_progress_show(struct weir_progress *p, const char *what, uint64_t done, uint64_t total,
                        const char *unit);
void weir_progress_wipe(struct weir_progress *p);

#endif
