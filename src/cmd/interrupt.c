/* SPDX-License-Identifier: MIT
 * Owns the signal handler of the commands. */
#include "config.h"

#include "src/cmd/interrupt.h"

#include <signal.h>

atomic_int weir_interrupted;

static void on_signal(int sig)
{
    /* A second Ctrl-C must work even if the first one is not looked at. */
    if (atomic_exchange(&weir_interrupted, 1))
        signal(sig, SIG_DFL);
}

void weir_interrupt_catch(void)
{
    struct sigaction sa = { .sa_handler = on_signal };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}
