/* SPDX-License-Identifier: MIT
 * Owns the signal handlers of the commands. */
#include "config.h"

#include "src/cmd/interrupt.h"

#include <signal.h>

#define PATIENCE 3 /* how often Ctrl-C may be pressed before it ends a conversation */

atomic_int weir_interrupted, weir_terminated;

static void on_signal(int sig)
{
    /* A second Ctrl-C must work even if the first one is not looked at. */
    if (atomic_exchange(&weir_interrupted, 1))
        signal(sig, SIG_DFL);
}

static void catch_with(void (*handler)(int))
{
    /* No SA_RESTART: who waits for a line wants to know. */
    struct sigaction sa = { .sa_handler = handler };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

void weir_interrupt_catch(void) { catch_with(on_signal); }

static void on_talk_signal(int sig)
{
    if (sig == SIGTERM && atomic_exchange(&weir_terminated, 1))
        signal(sig, SIG_DFL);
    if (atomic_fetch_add(&weir_interrupted, 1) + 1 >= PATIENCE)
        signal(sig, SIG_DFL);
}

void weir_interrupt_talk(void)
{
    atomic_store(&weir_interrupted, 0);
    catch_with(on_talk_signal);
}
