/* SPDX-License-Identifier: MIT
 *
 * The file rates are kept in; src/run/rates.c has it.  One thread. */
#ifndef WEIR_SRC_RUN_RATES_PRIVATE_H
#define WEIR_SRC_RUN_RATES_PRIVATE_H

#include "base/rate.h"
#include "prefetch/sched.h"

/* What is kept under KEY; 0: nothing. */
double weir_rates_recall(const char *key);
/* Keep VALUE; failing to is no error. */
void weir_rates_remember(const char *key, double value);

/* Which rates forecasts of passes over S are made with: a step of each, or NULL. */
void weir_rates_wanted(const struct weir_sched *s, const struct weir_step *ret[WEIR_RATE_COUNT]);

#endif
