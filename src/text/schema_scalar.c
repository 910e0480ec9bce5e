/* SPDX-License-Identifier: MIT
 * Owns strings and numbers of a schema: lengths, formats, and ranges of integers as digits. */
#include "config.h"

#include "src/text/schema_priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_MAX  9007199254740991.0 /* 2^53 - 1 */
#define USUAL_MAX  999999999999999.0  /* where nothing is said: 15 digits */
#define LENGTH_MAX 100000u

/* ---- strings ---- */

/* The one value of KEY in the conjunction, or NULL; two are an error. */
static int one_of(struct weir_schema *s, const struct weir_conj *c, const char *key,
                  const char **ret)
{
    *ret = NULL;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *j = weir_json_get(c->node[i], key);
        const char *text = weir_json_str(j);
        if (j && !text)
            return weir_schema_fail(s, -EINVAL, "%s must be a string", key);
        if (text && *ret && strcmp(text, *ret))
            return weir_schema_fail(s, -ENOTSUP, "more than one %s for one string", key);
        *ret = text ? text : *ret;
    }
    return 0;
}

static int format(struct weir_schema *s, const char *name, struct weir_sbuf *b)
{
    const char *date = "", *time = "";
    if (!strcmp(name, "date")) {
        weir_sbuf_add(b, "\"\\\"\" %s \"\\\"\"", weir_schema_use(s, WEIR_B_DATE));
    } else if (!strcmp(name, "time")) {
        weir_sbuf_add(b, "\"\\\"\" %s \"\\\"\"", weir_schema_use(s, WEIR_B_TIME));
    } else if (!strcmp(name, "date-time")) {
        date = weir_schema_use(s, WEIR_B_DATE);
        time = weir_schema_use(s, WEIR_B_TIME);
        weir_sbuf_add(b, "\"\\\"\" %s \"T\" %s \"\\\"\"", date, time);
    } else if (!strcmp(name, "uuid")) {
        weir_sbuf_add(b, "\"\\\"\" %s \"\\\"\"", weir_schema_use(s, WEIR_B_UUID));
    } else {
        return weir_schema_fail(s, -ENOTSUP,
                                "the format '%.40s' is not supported (date, time, date-time and "
                                "uuid are)",
                                name);
    }
    return 0;
}

int weir_schema_string(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b)
{
    const char *pattern = NULL, *form = NULL;
    uint32_t least, most;
    int r = weir_conj_count(s, c, "minLength", false, 0, &least);
    if (r == 0)
        r = weir_conj_count(s, c, "maxLength", true, UINT32_MAX, &most);
    if (r == 0)
        r = one_of(s, c, "pattern", &pattern);
    if (r == 0)
        r = one_of(s, c, "format", &form);
    if (r < 0)
        return r;
    const bool length = least || most != UINT32_MAX;
    if ((pattern && (form || length)) || (form && length))
        return weir_schema_fail(s, -ENOTSUP, "%s beside %s is not supported",
                                pattern ? "pattern" : "format",
                                pattern && form ? "format" : "minLength or maxLength");
    if (form)
        return format(s, form, b);
    if (pattern) {
        weir_sbuf_add(b, "\"\\\"\" ");
        r = weir_schema_pattern(s, pattern, b);
        weir_sbuf_add(b, " \"\\\"\"");
        return r;
    }
    if (most < least)
        return weir_schema_fail(s, -EINVAL, "minLength is %u, but maxLength is %u", least, most);
    if (!length) {
        weir_sbuf_add(b, "%s", weir_schema_use(s, WEIR_B_STRING));
        return 0;
    }
    if (least > LENGTH_MAX)
        return weir_schema_fail(s, -E2BIG, "minLength is %u; at most %u can be asked for", least,
                                LENGTH_MAX);
    weir_sbuf_add(b, "\"\\\"\" %s{%u,", weir_schema_use(s, WEIR_B_CHAR), least);
    if (most != UINT32_MAX)
        weir_sbuf_add(b, "%u", most < LENGTH_MAX ? most : LENGTH_MAX);
    weir_sbuf_add(b, "} \"\\\"\"");
    return 0;
}

/* ---- ranges of integers ---- */

static void any_digits(struct weir_sbuf *b, size_t n)
{
    if (n)
        weir_sbuf_add(b, " [0-9]{%zu}", n);
}

/* Numbers of as many digits as LO that are at least LO (UP), or at most. */
static void bounded(struct weir_sbuf *b, const char *lo, bool up)
{
    const char end = up ? '9' : '0', start = up ? '0' : '9';
    const size_t n = strlen(lo);
    if (strspn(lo, up ? "0" : "9") == n) { /* any will do */
        any_digits(b, n);
        return;
    }
    weir_sbuf_add(b, " (\"%c\"", *lo);
    bounded(b, lo + 1, up);
    if (*lo != end) {
        weir_sbuf_add(b, " | [%c-%c]", up ? *lo + 1 : start - 9, up ? '9' : *lo - 1);
        any_digits(b, n - 1);
    }
    weir_sbuf_add(b, ")");
}

/* Numbers between two of the same length. */
static void between(struct weir_sbuf *b, const char *lo, const char *hi)
{
    const size_t n = strlen(lo);
    if (!n)
        return;
    if (*lo == *hi) {
        weir_sbuf_add(b, " \"%c\"", *lo);
        between(b, lo + 1, hi + 1);
        return;
    }
    if (strspn(lo + 1, "0") == n - 1 && strspn(hi + 1, "9") == n - 1) {
        weir_sbuf_add(b, " [%c-%c]", *lo, *hi);
        any_digits(b, n - 1);
        return;
    }
    weir_sbuf_add(b, " (\"%c\"", *lo);
    bounded(b, lo + 1, true);
    if (*hi - *lo > 1) {
        weir_sbuf_add(b, " | [%c-%c]", *lo + 1, *hi - 1);
        any_digits(b, n - 1);
    }
    weir_sbuf_add(b, " | \"%c\"", *hi);
    bounded(b, hi + 1, false);
    weir_sbuf_add(b, ")");
}

/* Alternatives for the whole numbers LO..HI, both at least 0. */
static void digits(struct weir_sbuf *b, double lo, double hi, const char *sign)
{
    char from[32], to[32];
    for (double ten = 10; lo <= hi; ten *= 10) {
        if (lo >= ten)
            continue;
        const double last = hi < ten - 1 ? hi : ten - 1;
        snprintf(from, sizeof(from), "%.0f", lo);
        snprintf(to, sizeof(to), "%.0f", last);
        weir_sbuf_add(b, "%s%s", b->n ? " | " : "", sign);
        between(b, from, to);
        lo = ten;
    }
}

/* The bounds of all nodes together.  *RET_SAID: there are any. */
static int bounds(struct weir_schema *s, const struct weir_conj *c, double *lo, double *hi,
                  bool *ret_said)
{
    static const struct {
        const char *key;
        bool lower, strict;
    } kinds[] = { { "minimum", true, false },
                  { "exclusiveMinimum", true, true },
                  { "maximum", false, false },
                  { "exclusiveMaximum", false, true } };
    *lo = -INFINITY;
    *hi = INFINITY;
    *ret_said = false;
    for (unsigned i = 0; i < c->n; i++)
        for (int k = 0; k < 4; k++) {
            const weir_json *j = weir_json_get(c->node[i], kinds[k].key);
            double v = weir_json_num(j, NAN);
            if (!j)
                continue;
            if (isnan(v))
                return weir_schema_fail(s, -EINVAL, "%s must be a number", kinds[k].key);
            *ret_said = true;
            v += 0.0; /* -0 becomes 0 */
            if (fabs(v) > WHOLE_MAX)
                continue; /* beyond what is written anyway */
            if (kinds[k].lower) {
                v = kinds[k].strict ? floor(v) + 1 : ceil(v);
                *lo = fmax(*lo, v + 0.0);
            } else {
                v = kinds[k].strict ? ceil(v) - 1 : floor(v);
                *hi = fmin(*hi, v + 0.0);
            }
        }
    return 0;
}

int weir_schema_integer(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b)
{
    double lo, hi;
    bool said;
    const int r = bounds(s, c, &lo, &hi, &said);
    if (r < 0)
        return r;
    if (!said) {
        weir_sbuf_add(b, "%s", weir_schema_use(s, WEIR_B_INTEGER));
        return 0;
    }
    if (lo == -INFINITY)
        lo = hi < -USUAL_MAX ? -WHOLE_MAX : -USUAL_MAX;
    if (hi == INFINITY)
        hi = lo > USUAL_MAX ? WHOLE_MAX : USUAL_MAX;
    if (lo > hi)
        return weir_schema_fail(s, -EINVAL, "no whole number lies from %.0f to %.0f", lo, hi);
    if (hi >= 0)
        digits(b, lo > 0 ? lo : 0, hi, "");
    if (lo < 0)
        digits(b, hi < 0 ? -hi : 1, -lo, "\"-\"");
    return 0;
}

int weir_schema_number(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b)
{
    double lo, hi;
    bool said;
    const int r = bounds(s, c, &lo, &hi, &said);
    if (r < 0)
        return r;
    /* Of bounds for numbers that need not be whole, one is simple: no sign. */
    bool positive = said && hi == INFINITY && lo == 0;
    for (unsigned i = 0; i < c->n; i++)
        positive = positive && !weir_json_get(c->node[i], "exclusiveMinimum") &&
                   weir_json_num(weir_json_get(c->node[i], "minimum"), 0) == 0;
    if (said && !positive)
        return weir_schema_fail(s, -ENOTSUP,
                                "minimum and maximum are supported for integers only (and minimum "
                                "0 for numbers)");
    weir_sbuf_add(b, "%s", weir_schema_use(s, WEIR_B_NUMBER));
    if (positive) {
        b->n = 0;
        weir_sbuf_add(b, "%s (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?",
                      weir_schema_use(s, WEIR_B_DIGITS));
    }
    return 0;
}
