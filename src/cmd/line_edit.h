/* SPDX-License-Identifier: MIT
 *
 * Lines that somebody types, or a pipe brings.  On a terminal with editing and history where the
 * build has libedit and TERM is not dumb; else as they come.  One thread. */
#ifndef WEIR_SRC_CMD_LINE_EDIT_H
#define WEIR_SRC_CMD_LINE_EDIT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct weir_lines;

/* Lines of standard input.  TTY: it is a terminal, where prompts are shown.  0 or -ENOMEM. */
int weir_lines_new(bool tty, struct weir_lines **ret, struct weir_err *err);
void weir_lines_free(struct weir_lines *l); /* NULL is fine; the terminal is as it was */

/* The next line without its newline, terminated, *RET_N bytes, valid until the next call.
 * 1; 0: there are no more (Ctrl-D); -EINTR: a signal came (interrupt.h); -E2BIG: longer than
 * 4 MiB; or what reading answered. */
int weir_lines_read(struct weir_lines *l, const char *prompt, const char **ret, size_t *ret_n,
                    struct weir_err *err);
/* What was typed in earlier runs comes back too, and what is remembered from now on is kept for
 * later ones (line_history.h).  Without editing nothing happens.  0, or what reading the file
 * answered: then nothing is kept. */
int weir_lines_keep(struct weir_lines *l, struct weir_err *err);
/* TEXT is what the arrow keys bring back. */
void weir_lines_remember(struct weir_lines *l, const char *text);

#endif
