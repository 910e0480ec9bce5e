/* SPDX-License-Identifier: MIT
 *
 * The time at which the goldens of chat templates were made (tests/gen/jinja_env.py). */
#ifndef WEIR_TESTS_CHAT_CLOCK_H
#define WEIR_TESTS_CHAT_CLOCK_H

#include <time.h>

static const struct tm clock_at = {
    .tm_sec = 56,
    .tm_min = 34,
    .tm_hour = 12,
    .tm_mday = 26,
    .tm_mon = 6,
    .tm_year = 124,
    .tm_wday = 5,
    .tm_yday = 207,
};

#endif
