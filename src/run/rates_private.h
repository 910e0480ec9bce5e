/* SPDX-License-Identifier: MIT
 *
 * The file rates are kept in; src/run/rates.c has it.  One thread. */
#ifndef WEIR_SRC_RUN_RATES_PRIVATE_H
#define WEIR_SRC_RUN_RATES_PRIVATE_H

/* What is kept under KEY; 0: nothing. */
double weir_rates_recall(const char *key);
/* Keep VALUE; failing to is no error. */
void weir_rates_remember(const char *key, double value);

#endif
