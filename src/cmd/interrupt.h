/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C for commands that have something to say before they end. */
#ifndef WEIR_SRC_CMD_INTERRUPT_H
#define WEIR_SRC_CMD_INTERRUPT_H

#include <stdatomic.h>

/* Non-zero once SIGINT or SIGTERM has come.  Set by the handler, read by anybody. */
extern atomic_int weir_interrupted;
/* Non-zero once SIGTERM has come, for conversations. */
extern atomic_int weir_terminated;

/* From now on the first SIGINT or SIGTERM sets the flag; the second ends the program as usual. */
void weir_interrupt_catch(void);

/* For conversations, where Ctrl-C ends the answer: the flag is taken back, and set by signals from
 * now on.  Only the fourth that nobody looks at (takes back) ends the program. */
void weir_interrupt_talk(void);

#endif
