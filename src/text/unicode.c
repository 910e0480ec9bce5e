/* SPDX-License-Identifier: MIT
 * Owns the look-ups in the generated tables of characters.  Any thread. */
#include "config.h"

#include "src/text/unicode.h"

#include "base/utf8.h"

#include <string.h>

struct prop {
    uint32_t first; /* of a run that ends where the next begins */
    uint32_t mask;
};

struct run {
    uint32_t first, last, step;
    int32_t delta;
};

enum { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_FOLD };

struct many {
    uint32_t c, kind;
    uint32_t to[3];
};

#include "src/text/unicode.inc"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static size_t prop_run(uint32_t c)
{
    size_t lo = 0, hi = N_OF(props);
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (props[mid].first <= c)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

unsigned weir_uni_props(uint32_t c) { return props[prop_run(c)].mask; }

bool weir_uni_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

unsigned weir_uni_decimal(uint32_t c) { return (c - props[prop_run(c)].first) % 10; }

/* true and *RET when the mapping of C is in the table. */
static bool run_find(const struct run *t, size_t n, uint32_t c, uint32_t *ret)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (t[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < n && t[lo].first <= c && (c - t[lo].first) % t[lo].step == 0) {
        *ret = (uint32_t)((int64_t)c + t[lo].delta);
        return true;
    }
    return false;
}

static unsigned many_find(uint32_t kind, uint32_t c, uint32_t out[3])
{
    if (c < 0xdf)
        return 0;
    size_t lo = 0, hi = N_OF(case_many);
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (case_many[mid].c < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < N_OF(case_many) && case_many[lo].c == c; lo++) {
        if (case_many[lo].kind != kind)
            continue;
        unsigned n = 0;
        while (n < 3 && case_many[lo].to[n]) {
            out[n] = case_many[lo].to[n];
            n++;
        }
        return n;
    }
    return 0;
}

unsigned weir_uni_lower(uint32_t c, uint32_t out[3])
{
    const unsigned n = many_find(CASE_LOWER, c, out);
    if (n)
        return n;
    if (!run_find(case_lower, N_OF(case_lower), c, out))
        out[0] = c;
    return 1;
}

unsigned weir_uni_upper(uint32_t c, uint32_t out[3])
{
    const unsigned n = many_find(CASE_UPPER, c, out);
    if (n)
        return n;
    if (!run_find(case_upper, N_OF(case_upper), c, out))
        out[0] = c;
    return 1;
}

unsigned weir_uni_title(uint32_t c, uint32_t out[3])
{
    const unsigned n = many_find(CASE_TITLE, c, out);
    if (n)
        return n;
    if (run_find(case_title, N_OF(case_title), c, out))
        return 1;
    return weir_uni_upper(c, out);
}

unsigned weir_uni_fold(uint32_t c, uint32_t out[3])
{
    const unsigned n = many_find(CASE_FOLD, c, out);
    if (n)
        return n;
    if (run_find(case_fold, N_OF(case_fold), c, out))
        return 1;
    return weir_uni_lower(c, out);
}

uint32_t weir_uni_get(const char *p, size_t n, size_t *ret_len)
{
    const uint32_t c = weir_utf8_get((const uint8_t *)p, n, ret_len);
    return c == WEIR_UTF8_NONE ? 0xfffd : c;
}

size_t weir_uni_put(uint32_t c, char out[4])
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    return weir_utf8_put((uint8_t *)out, c);
}
