/* SPDX-License-Identifier: MIT
 *
 * Lines that were typed, kept from one run to the next in $XDG_STATE_HOME/weir/history (else
 * ~/.local/state/weir/history): a line each, the newest last, for nobody's eyes but the user's.
 * One thread. */
#ifndef WEIR_SRC_CMD_LINE_HISTORY_H
#define WEIR_SRC_CMD_LINE_HISTORY_H

#include "base/err.h"

#define WEIR_HISTORY_LINES 500           /* that are brought back */
#define WEIR_HISTORY_BYTES (256u << 10)  /* of the file, when a run begins; twice that at its end  \
                                          */
#define WEIR_HISTORY_LINE ((size_t)4096) /* longer ones are not kept */

/* Give LINE the kept lines, the oldest first, and cut the file to its size.  0, also when there is
 * none yet; -EINVAL: the file is no plain file of this user; or what reading answered. */
int weir_history_load(void (*line)(void *arg, const char *text), void *arg, struct weir_err *err);

/* Keep TEXT; the file is made when it is not there, 0600.  Nothing happens with a text that is
 * empty, too long or not one line of text.  0, or as above. */
int weir_history_add(const char *text, struct weir_err *err);

#endif
