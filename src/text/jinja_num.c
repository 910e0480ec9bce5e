/* SPDX-License-Identifier: MIT
 * Owns the layout of fields.  One thread. */
#include "config.h"

#include "src/text/jinja_num.h"

#include "src/text/value_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_MAX 1000 /* digits; a field of more is an error */

static void fill(struct weir_sb *b, const struct weir_field *f, int64_t n)
{
    weir_vpool_step(b->p, n > 0 ? (uint64_t)n : 0);
    for (; n > 0; n--)
        weir_sb_char(b, f->fill ? f->fill : ' ', false);
}

/* SIGN before DIGITS in the field, DFLT where it stands when nothing is said. */
static void lay_out(struct weir_sb *b, const struct weir_field *f, const char *sign,
                    const char *digits)
{
    const int64_t n = (int64_t)(strlen(sign) + strlen(digits));
    const int64_t pad = f->width > n ? f->width - n : 0;
    const char align = f->align ? f->align : '>';
    const int64_t left = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    fill(b, f, left);
    weir_sb_puts(b, sign);
    if (align == '=')
        fill(b, f, pad);
    weir_sb_puts(b, digits);
    if (align != '=')
        fill(b, f, pad - left);
}

/* Put separators into the whole part of DIGITS, every SIZE, and zeros in front of it when the field
 * is filled with them. */
static void group(const struct weir_field *f, char *digits, size_t room, int size, size_t sign_n)
{
    char out[FIELD_MAX + 64];
    size_t whole = 0, n = 0;
    while (isxdigit((unsigned char)digits[whole]) &&
           (size != 3 || isdigit((unsigned char)digits[whole])))
        whole++;
    const size_t rest = strlen(digits) - whole;
    const bool zeros = f->align == '=' && f->fill == '0';
    const size_t wanted =
        zeros && f->width > (int64_t)(rest + sign_n) ? (size_t)f->width - rest - sign_n : 0;
    /* From the right: into OUT backwards. */
    for (size_t i = 0; i < whole || n < wanted; i++) {
        if (i && i % (size_t)size == 0) {
            out[n++] = f->group;
            if (n >= sizeof(out) - 2)
                break;
        }
        out[n++] = i < whole ? digits[whole - 1 - i] : '0';
        if (n >= sizeof(out) - 2)
            break;
    }
    if (n + rest + 1 > room)
        return;
    memmove(digits + n, digits + whole, rest + 1);
    for (size_t i = 0; i < n; i++)
        digits[i] = out[n - 1 - i];
}

static const char *sign_of(const struct weir_field *f, bool negative)
{
    return negative ? "-" : f->sign == '+' ? "+" : f->sign == ' ' ? " " : "";
}

void weir_field_int(struct weir_sb *b, const struct weir_field *f, int64_t i)
{
    char t[2 * FIELD_MAX + 80], sign[8];
    const char type = f->type ? f->type : 'd';
    const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
    char digits[72];
    size_t n = 0;
    if (f->prec > FIELD_MAX || (f->group && f->width > FIELD_MAX))
        weir_vpool_fail(b->p, "a field of %lld digits is too long",
                        (long long)(f->prec > f->width ? f->prec : f->width));
    do
        digits[n++] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
    while (u /= base);
    size_t at = 0;
    for (int64_t z = (int64_t)n; z < f->prec; z++)
        t[at++] = '0';
    while (n)
        t[at++] = digits[--n];
    t[at] = 0;
    snprintf(sign, sizeof(sign), "%s%s", sign_of(f, i < 0),
             !f->alt || base == 10 ? ""
             : base == 2           ? "0b"
             : base == 8           ? "0o"
             : type == 'X'         ? "0X"
                                   : "0x");
    if (f->group)
        group(f, t, sizeof(t), base == 10 ? 3 : 4, strlen(sign));
    lay_out(b, f, sign, t);
}

static void python_real(const struct weir_field *f, double d, char *t, size_t room)
{
    char r[WEIR_REAL_STR];
    if (f->prec < 0) {
        snprintf(t, room, "%s", weir_real_repr(d, r));
        return;
    }
    /* As g, but with one digit after the point, so e comes one digit earlier. */
    const int prec = f->prec ? (int)f->prec : 1;
    snprintf(t, room, "%.*e", prec - 1, d);
    char *e = strchr(t, 'e');
    const int exp = atoi(e + 1);
    if (exp < -4 || exp >= prec - 1) {
        char *end = e;
        while (memchr(t, '.', (size_t)(end - t)) && (end[-1] == '0' || end[-1] == '.'))
            end--;
        memmove(end, e, strlen(e) + 1);
        return;
    }
    snprintf(t, room, "%.*g", prec, d);
    if (!strchr(t, '.') && !strchr(t, 'e'))
        strncat(t, ".0", room - strlen(t) - 1);
}

void weir_field_real(struct weir_sb *b, const struct weir_field *f, double d)
{
    char t[FIELD_MAX + 400 + 64 + FIELD_MAX], fmt[8];
    const bool negative = signbit(d) && !isnan(d);
    const double a = negative ? -d : d;
    const int prec = f->prec < 0 ? 6 : (int)f->prec;
    if (f->prec > FIELD_MAX || (f->group && f->width > FIELD_MAX))
        weir_vpool_fail(b->p, "a field of %lld digits is too long",
                        (long long)(f->prec > f->width ? f->prec : f->width));
    const char type = f->type == '%' ? 'f' : f->type == 'n' ? 'g' : f->type;
    if (isnan(a) || isinf(a)) {
        strcpy(t, isnan(a) ? "nan" : "inf");
        if (type == 'E' || type == 'F' || type == 'G')
            strcpy(t, isnan(a) ? "NAN" : "INF");
    } else if (!type) {
        python_real(f, a, t, sizeof(t));
    } else {
        snprintf(fmt, sizeof(fmt), "%%%s.*%c", f->alt ? "#" : "", type);
        snprintf(t, sizeof(t), fmt, prec, f->type == '%' ? a * 100 : a);
    }
    if (f->type == '%')
        strcat(t, "%");
    const char *sign = sign_of(f, negative);
    if (f->group && isfinite(a))
        group(f, t, sizeof(t), 3, strlen(sign));
    lay_out(b, f, sign, t);
}

void weir_field_str(struct weir_sb *b, const struct weir_field *f, const struct weir_str *s)
{
    struct weir_vpool *p = b->p;
    if (f->prec >= 0)
        s = weir_str_sub(p, s, 0, weir_str_off(p, s, (size_t)f->prec)).u.s;
    const int64_t n = (int64_t)weir_str_chars(p, s);
    const int64_t pad = f->width > n ? f->width - n : 0;
    const int64_t left = f->align == '>' ? pad : f->align == '^' ? pad / 2 : 0;
    fill(b, f, left);
    weir_sb_str(b, s);
    fill(b, f, pad - left);
}
