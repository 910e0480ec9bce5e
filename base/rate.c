/* SPDX-License-Identifier: MIT
 * Owns the numbering and naming of rates. */
#include "config.h"

#include "base/rate.h"

#include <stdio.h>
#include <string.h>

static const uint8_t bits_of[WEIR_RATE_KINDS / 2] = { 2, 3, 4, 8 };
static const enum weir_dtype elem_of[WEIR_RATE_KINDS / 2] = { WEIR_DTYPE_F32, WEIR_DTYPE_F16,
                                                              WEIR_DTYPE_BF16, WEIR_DTYPE_F64 };

uint32_t weir_rate_of_packing(const struct weir_packing *p)
{
    const bool dense = p->scheme == WEIR_SCHEME_DENSE_COLS;
    uint32_t kind = 0;
    while (kind + 1 < WEIR_RATE_KINDS / 2 &&
           (dense ? elem_of[kind] != p->elem : bits_of[kind] != p->bits))
        kind++;
    return (uint32_t)WEIR_DTYPE_COUNT + (uint32_t)p->scheme * WEIR_RATE_KINDS + 2 * kind +
           (p->aux_bytes[WEIR_AUX_INDEX] != 0);
}

const char *weir_rate_name(uint32_t rate, char buf[WEIR_RATE_NAME])
{
    if (rate < (uint32_t)WEIR_DTYPE_COUNT) {
        snprintf(buf, WEIR_RATE_NAME, "%s", weir_dtype_info((enum weir_dtype)rate)->name);
        return buf;
    }
    const uint32_t i = rate - (uint32_t)WEIR_DTYPE_COUNT, kind = i % WEIR_RATE_KINDS;
    const enum weir_scheme s = (enum weir_scheme)(i / WEIR_RATE_KINDS);
    const char *order = kind % 2 ? "-order" : "";
    if (s == WEIR_SCHEME_DENSE_COLS)
        snprintf(buf, WEIR_RATE_NAME, "%s-%s%s", weir_scheme_name(s),
                 weir_dtype_info(elem_of[kind / 2])->name, order);
    else
        snprintf(buf, WEIR_RATE_NAME, "%s-%u%s", weir_scheme_name(s), bits_of[kind / 2], order);
    for (char *c = buf; *c; c++)
        if (*c == ' ')
            *c = '-';
    return buf;
}

int weir_rate_from_name(const char *name)
{
    char buf[WEIR_RATE_NAME];
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        if (!strcmp(weir_rate_name(i, buf), name))
            return (int)i;
    return -1;
}
