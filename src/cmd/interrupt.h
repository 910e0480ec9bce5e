/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C for commands that have something to say before they end. */
#ifndef WEIR_SRC_CMD_INTERRUPT_H
#define WEIR_SRC_CMD_INTERRUPT_H

#include <stdatomic.h>

/* Non-zero once SIGINT or SIGTERM has come.  Set by the handler, read by anybody. */
extern atomic_int weir_interrupted;

/* From now on the first SIGINT or SIGTERM sets the flag; the second ends the program as usual. */
void weir_interrupt_catch(void);

#endif
