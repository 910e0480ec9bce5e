/* SPDX-License-Identifier: MIT
 *
 * Random damage to the image of a file, the same in every run: for tests that open what comes of
 * it, which must be refused or be usable.  Included by a test program. */
#ifndef WEIR_TESTS_DAMAGE_H
#define WEIR_TESTS_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct damage {
    uint64_t state;    /* of the numbers drawn; not 0 */
    size_t head;       /* three changes of four are among so many first bytes; 0: everywhere */
    const char *words; /* letters that mean something in the file; NULL: it is not text */
    bool whole;        /* never cut the end */
};

static inline uint64_t damage_draw(struct damage *d, uint64_t below)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (d->state >> 16) % below;
}

/* Change one to four places of P[n]; n > 0.  Returns how many bytes are left, at least one: an
 * eighth of the time fewer than there were. */
static inline size_t damage_do(struct damage *d, uint8_t *p, size_t n)
{
    static const uint8_t nasty[] = { 0, 1, 4, 9, 0x7f, 0x80, 0xff };
    if (!damage_draw(d, 8) && !d->whole)
        n = 1 + damage_draw(d, n);
    for (uint64_t i = 1 + damage_draw(d, 4); i--;) {
        const size_t near = d->head && d->head < n && damage_draw(d, 4) ? d->head : n;
        const size_t at = damage_draw(d, near);
        const uint64_t kind = damage_draw(d, 8);
        if (d->words && kind > 1)
            p[at] = (uint8_t)d->words[damage_draw(d, strlen(d->words))];
        else if (kind < 2)
            p[at] = (uint8_t)damage_draw(d, 256);
        else if (kind < 4)
            p[at] ^= (uint8_t)(1u << damage_draw(d, 8));
        else if (kind < 7 || at + 8 > n)
            p[at] = nasty[damage_draw(d, sizeof(nasty))];
        else /* a whole number, as lengths and offsets are */
            memset(p + at, damage_draw(d, 2) ? 0xff : 0, 8);
    }
    return n;
}

#endif
