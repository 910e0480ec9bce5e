/* SPDX-License-Identifier: MIT
 * Owns the filters of numbers and of any value: int, float, round, default, tojson, attr.
 * One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include "base/num.h"
#include "src/text/unicode.h"
#include "src/text/value_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct weir_val abs_(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_val v = in[0];
    (void)a;
    if (!weir_val_is_num(v))
        weir_vpool_fail(j->p, "bad operand type for abs: '%s'", weir_val_type(v));
    struct weir_val r;
    if (v.kind == WEIR_V_REAL) {
        r = weir_val_real(fabs(v.u.d));
    } else {
        if (weir_val_i64(v) == INT64_MIN)
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
        r = weir_val_int(weir_val_i64(v) < 0 ? -weir_val_i64(v) : weir_val_i64(v));
    }
    r.said = v.said;
    return r;
}

/* The digits of S as Python's int() and float() take them: no blanks around, "_" only between
 * digits, digits of other scripts too.  "" when it cannot be a number. */
static char *plain(struct weir_jrun *j, const struct weir_str *s)
{
    const struct weir_str *t = weir_str_strip(j->p, s, NULL, 3).u.s;
    char *out = weir_vpool_alloc(j->p, t->n + 1, 1);
    size_t at = 0, n = 0;
    uint32_t c;
    while (weir_str_next(t, &at, &c)) {
        if (weir_uni_props(c) & WEIR_UNI_DECIMAL)
            c = '0' + weir_uni_decimal(c);
        if (c == 0 || c >= 0x80) {
            *out = 0;
            return out;
        }
        out[n++] = (char)c;
    }
    out[n] = 0;
    return out;
}

/* int(T, BASE); false when it is none. */
static bool parse_int(struct weir_jrun *j, const char *t, int base, int64_t *ret)
{
    const bool negative = *t == '-';
    int64_t v = 0;
    bool zeros_only = false;
    if (*t == '-' || *t == '+')
        t++;
    const char c = t[0] == '0' ? (char)(t[1] | 0x20) : 0;
    const int named = c == 'b' ? 2 : c == 'o' ? 8 : c == 'x' ? 16 : 0;
    if (named && (base == 0 || base == named)) {
        t += 2;
        t += *t == '_';
        base = named;
    } else if (base == 0) {
        base = 10;
        zeros_only = *t == '0';
    }
    if (weir_digit(*t, base) < 0)
        return false;
    for (; *t; t++) {
        if (*t == '_' && weir_digit(t[1], base) >= 0 && weir_digit(t[-1], base) >= 0)
            t++;
        const int d = weir_digit(*t, base);
        if (d < 0 || (zeros_only && d))
            return false;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_sub_overflow(v, d, &v))
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
    }
    if (!negative && v == INT64_MIN)
        weir_vpool_fail(j->p, "an integer does not fit 64 bits");
    *ret = negative ? v : -v;
    return true;
}

/* float(T); false when it is none. */
static bool parse_real(struct weir_jrun *j, const char *t, double *ret)
{
    char *out = weir_vpool_alloc(j->p, strlen(t) + 1, 1), *end;
    size_t n = 0;
    for (const char *s = t; *s; s++) {
        if (*s == '_') {
            if (s == t || weir_digit(s[-1], 10) < 0 || weir_digit(s[1], 10) < 0)
                return false;
            continue;
        }
        if (*s == 'x' || *s == 'X' || *s == '(')
            return false; /* strtod reads these, float() does not */
        out[n++] = *s;
    }
    *ret = strtod(out, &end);
    return end != out && !*end;
}

static struct weir_val marked(struct weir_val r, struct weir_val from)
{
    r.said = from.kind == WEIR_V_STR ? weir_str_said(from.u.s) : from.said;
    return r;
}

static bool real_to_int(double d, int64_t *ret)
{
    if (!(fabs(d) < 9223372036854774784.0))
        return false;
    *ret = (int64_t)d;
    return true;
}

static struct weir_val to_int(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_val dflt = in[1].kind == WEIR_V_MISSING ? weir_val_int(0) : in[1];
    int64_t i, base = 10;
    double d;
    (void)a;
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (weir_val_is_int(in[0]))
        return marked(weir_val_int(weir_val_i64(in[0])), in[0]);
    if (in[0].kind == WEIR_V_REAL) {
        if (isnan(in[0].u.d) || isinf(in[0].u.d)) {
            if (isinf(in[0].u.d))
                weir_vpool_fail(j->p, "infinity is no integer");
            return dflt;
        }
        if (!real_to_int(in[0].u.d, &i))
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
        return marked(weir_val_int(i), in[0]);
    }
    if (in[0].kind != WEIR_V_STR)
        return dflt;
    if (in[2].kind != WEIR_V_MISSING) {
        base = weir_val_is_int(in[2]) ? weir_val_i64(in[2]) : -1;
        if (base != 0 && (base < 2 || base > 36))
            base = -1;
    }
    const char *t = plain(j, in[0].u.s);
    if (base >= 0 && parse_int(j, t, (int)base, &i))
        return marked(weir_val_int(i), in[0]);
    if (!parse_real(j, t, &d) || isnan(d) || isinf(d))
        return dflt;
    if (!real_to_int(d, &i))
        weir_vpool_fail(j->p, "an integer does not fit 64 bits");
    return marked(weir_val_int(i), in[0]);
}

static struct weir_val to_float(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_val dflt = in[1].kind == WEIR_V_MISSING ? weir_val_real(0) : in[1];
    double d;
    (void)a;
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (weir_val_is_num(in[0]))
        return marked(weir_val_real(weir_val_f64(in[0])), in[0]);
    if (in[0].kind == WEIR_V_STR && parse_real(j, plain(j, in[0].u.s), &d))
        return marked(weir_val_real(d), in[0]);
    return dflt;
}

/* Half to even at a decimal place, as the digits of the double say. */
static double rounded(double d, int64_t places)
{
    char t[700];
    if (!isfinite(d) || places > 323)
        return d;
    if (places >= 0) {
        snprintf(t, sizeof(t), "%.*f", (int)places, d);
        return strtod(t, NULL);
    }
    if (places < -308)
        return copysign(0, d);
    /* The digits left of the point, at most 309, cut as %e would. */
    const double unit = pow(10, (double)-places);
    return nearbyint(d / unit) * unit;
}

static struct weir_val round_(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_val v = in[0];
    int64_t places = 0;
    char how = 'c';
    (void)a;
    if (in[2].kind == WEIR_V_STR)
        how = weir_str_is(in[2].u.s, "common")  ? 'c'
              : weir_str_is(in[2].u.s, "ceil")  ? 'u'
              : weir_str_is(in[2].u.s, "floor") ? 'f'
                                                : 0;
    else if (in[2].kind != WEIR_V_MISSING)
        how = 0;
    if (!how)
        weir_vpool_fail(j->p, "the method of round must be common, ceil or floor");
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, v);
    if (!weir_val_is_num(v))
        weir_vpool_fail(j->p, "round needs a number, not '%s'", weir_val_type(v));
    if (in[1].kind != WEIR_V_MISSING && in[1].kind != WEIR_V_NONE) {
        if (!weir_val_is_int(in[1]))
            weir_vpool_fail(j->p, "round needs an integer, not '%s'", weir_val_type(in[1]));
        places = weir_val_i64(in[1]);
    }
    if (in[1].kind == WEIR_V_NONE) {
        if (how != 'c')
            weir_vpool_fail(j->p, "round needs an integer, not 'NoneType'");
        if (v.kind == WEIR_V_REAL) {
            int64_t i;
            if (!real_to_int(nearbyint(v.u.d), &i))
                weir_vpool_fail(j->p, "an integer does not fit 64 bits");
            return marked(weir_val_int(i), v);
        }
    }
    if (how == 'c' && v.kind == WEIR_V_REAL)
        return marked(weir_val_real(rounded(v.u.d, places)), v);
    if (how == 'c') {
        /* An integer stays one; places before the point round half to even. */
        const int64_t i = weir_val_i64(v);
        if (places >= 0)
            return marked(weir_val_int(i), v);
        if (places < -18)
            return marked(weir_val_int(0), v);
        int64_t unit = 1;
        for (int64_t k = 0; k < -places; k++)
            unit *= 10;
        int64_t down = i / unit * unit;
        if (i % unit < 0)
            down -= unit;
        const int64_t rest = i - down;
        const bool up = rest > unit / 2 || (rest == unit / 2 && (down / unit) % 2 != 0);
        if (up && __builtin_add_overflow(down, unit, &down))
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
        return marked(weir_val_int(down), v);
    }
    const struct weir_val unit =
        weir_jinja_binop(j->p, WEIR_OP2('*', '*'), weir_val_int(10), weir_val_int(places));
    const struct weir_val big = weir_jinja_binop(j->p, '*', v, unit);
    struct weir_val whole = big;
    if (big.kind == WEIR_V_REAL) {
        int64_t i;
        const double d = how == 'u' ? ceil(big.u.d) : floor(big.u.d);
        if (!real_to_int(d, &i))
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
        whole = weir_val_int(i);
    }
    return marked(weir_jinja_binop(j->p, '/', whole, unit), v);
}

static struct weir_val default_(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    const bool boolean = in[2].kind != WEIR_V_MISSING && weir_val_true(j->p, in[2]);
    if (in[0].kind == WEIR_V_UNDEF || (boolean && !weir_val_true(j->p, in[0])))
        return in[1].kind == WEIR_V_MISSING ? weir_val_cstr(j->p, "") : in[1];
    return in[0];
}

static const struct weir_str *separator(struct weir_jrun *j, struct weir_val v, const char *what)
{
    if (v.kind != WEIR_V_STR)
        weir_vpool_fail(j->p, "the %s separator of tojson must be a string, not '%s'", what,
                        weir_val_type(v));
    return v.u.s;
}

static struct weir_val tojson(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_dumps o = { .item_sep = weir_val_cstr(j->p, ", ").u.s,
                            .key_sep = weir_val_cstr(j->p, ": ").u.s };
    (void)a;
    o.ascii = in[1].kind != WEIR_V_MISSING && weir_val_true(j->p, in[1]);
    o.sort = in[4].kind != WEIR_V_MISSING && weir_val_true(j->p, in[4]);
    if (in[2].kind != WEIR_V_MISSING && in[2].kind != WEIR_V_NONE) {
        if (in[2].kind == WEIR_V_STR)
            o.indent = in[2].u.s;
        else if (weir_val_is_int(in[2]))
            o.indent = weir_str_repeat(j->p, weir_val_cstr(j->p, " ").u.s, weir_val_i64(in[2])).u.s;
        else
            weir_vpool_fail(j->p, "the indent of tojson must be an integer or a string, not '%s'",
                            weir_val_type(in[2]));
        o.item_sep = weir_val_cstr(j->p, ",").u.s;
    }
    if (in[3].kind != WEIR_V_MISSING && in[3].kind != WEIR_V_NONE) {
        const struct weir_vlist *l = weir_val_list(j->p, in[3]);
        if (l->n != 2)
            weir_vpool_fail(j->p, "the separators of tojson must be two, not %zu", l->n);
        o.item_sep = separator(j, l->v[0], "item");
        o.key_sep = separator(j, l->v[1], "key");
    }
    return weir_val_dumps(j->p, in[0], &o);
}

static struct weir_val attr(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    if (in[1].kind != WEIR_V_STR)
        weir_vpool_fail(j->p, "attr needs a string, not '%s'", weir_val_type(in[1]));
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (in[0].kind == WEIR_V_DICT && weir_dict_get(j->p, in[0].u.m, in[1])) {
        /* Only attributes count here, not keys. */
        struct weir_dict *none = weir_dict_new(j->p);
        const struct weir_val v = weir_jinja_attr(j, weir_val_of(WEIR_V_DICT, none), in[1].u.s);
        if (v.kind == WEIR_V_UNDEF)
            return v;
    }
    return weir_jinja_attr(j, in[0], in[1].u.s);
}

static struct weir_val filesize(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    static const char letters[] = "kMGTPEZY", big[] = "KMGTPEZY";
    (void)a;
    const bool binary = in[1].kind != WEIR_V_MISSING && weir_val_true(j->p, in[1]);
    double d = 0;
    char t[400]; /* the largest double has 309 digits */
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (weir_val_is_num(in[0]))
        d = weir_val_f64(in[0]);
    else if (in[0].kind != WEIR_V_STR || !parse_real(j, plain(j, in[0].u.s), &d))
        weir_vpool_fail(j->p, "filesizeformat needs a number, not '%s'", weir_val_type(in[0]));
    const double base = binary ? 1024 : 1000;
    if (d == 1) {
        strcpy(t, "1 Byte");
    } else if (d < base) {
        int64_t i;
        if (!real_to_int(d, &i))
            weir_vpool_fail(j->p, "an integer does not fit 64 bits");
        snprintf(t, sizeof(t), "%lld Bytes", (long long)i);
    } else {
        double unit = base;
        int i = 0;
        for (; i < 8; i++) {
            unit *= base;
            if (d < unit)
                break;
        }
        i = i == 8 ? 7 : i;
        if (!isfinite(d) ||
            snprintf(t, sizeof(t), "%.1f %c%sB", base * d / unit, binary ? big[i] : letters[i],
                     binary ? "i" : "") >= (int)sizeof(t))
            weir_vpool_fail(j->p, "filesizeformat: the number is too large");
    }
    struct weir_sb b;
    weir_sb_init(&b, j->p);
    weir_sb_put(&b, t, strlen(t), weir_val_any_said(j->p, in[0]));
    return weir_sb_done(&b);
}

const struct weir_jfilter weir_jfilters_num[] = {
    { "abs", "/", 0, abs_ },
    { "int", "default base", 0, to_int },
    { "float", "default", 0, to_float },
    { "round", "precision method", 0, round_ },
    { "default", "default_value boolean", 0, default_ },
    { "d", "default_value boolean", 0, default_ },
    { "tojson", "ensure_ascii indent separators sort_keys", 0, tojson },
    { "attr", "name", 1, attr },
    { "filesizeformat", "binary", 0, filesize },
    { NULL, NULL, 0, NULL },
};
