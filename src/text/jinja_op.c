/* SPDX-License-Identifier: MIT
 * Owns arithmetic as Python does it: integers that would not fit are an error, // and % round down,
 * strings and lists can be added and repeated.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

#include <math.h>

_Noreturn static void fail_types(struct weir_vpool *p, int op, struct weir_val a, struct weir_val b)
{
    const char t[3] = { (char)(op > 0xff ? op >> 8 : op), (char)(op > 0xff ? op & 0xff : 0), 0 };
    weir_vpool_fail(p, "unsupported operand types for %s: '%s' and '%s'", t, weir_val_type(a),
                    weir_val_type(b));
}

_Noreturn static void fail_range(struct weir_vpool *p)
{
    weir_vpool_fail(p, "an integer does not fit 64 bits");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    const int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t int_pow(struct weir_vpool *p, int64_t a, int64_t n)
{
    int64_t r = 1;
    while (n > 0) {
        if ((n & 1) && __builtin_mul_overflow(r, a, &r))
            fail_range(p);
        n >>= 1;
        if (n && __builtin_mul_overflow(a, a, &a))
            fail_range(p);
    }
    return r;
}

static double real_pow(struct weir_vpool *p, double a, double b)
{
    if (a == 0 && b < 0)
        weir_vpool_fail(p, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        weir_vpool_fail(p, "complex numbers are not supported");
    const double r = pow(a, b);
    if (isinf(r) && isfinite(a) && isfinite(b))
        weir_vpool_fail(p, "the result of ** is too large");
    return r;
}

static void real_divmod(double a, double b, double *ret_div, double *ret_mod)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else {
        mod = copysign(0, b);
    }
    if (div != 0) {
        const double f = floor(div);
        div = div - f > 0.5 ? f + 1 : f;
    } else {
        div = copysign(0, a / b);
    }
    *ret_div = div;
    *ret_mod = mod;
}

static struct weir_val ints(struct weir_vpool *p, int op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool over = false;
    switch (op) {
    case '+': over = __builtin_add_overflow(a, b, &r); break;
    case '-': over = __builtin_sub_overflow(a, b, &r); break;
    case '*': over = __builtin_mul_overflow(a, b, &r); break;
    case '/': return weir_val_real((double)a / (double)b);
    case WEIR_OP2('/', '/'):
        over = a == INT64_MIN && b == -1;
        if (!over)
            r = floor_div(a, b);
        break;
    case '%': r = b == -1 ? 0 : a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); break;
    default:
        if (b < 0)
            return weir_val_real(real_pow(p, (double)a, (double)b));
        r = int_pow(p, a, b);
        break;
    }
    if (over)
        fail_range(p);
    return weir_val_int(r);
}

static struct weir_val reals(struct weir_vpool *p, int op, double a, double b)
{
    double div, mod;
    switch (op) {
    case '+': return weir_val_real(a + b);
    case '-': return weir_val_real(a - b);
    case '*': return weir_val_real(a * b);
    case '/': return weir_val_real(a / b);
    case WEIR_OP2('/', '/'): real_divmod(a, b, &div, &mod); return weir_val_real(div);
    case '%': real_divmod(a, b, &div, &mod); return weir_val_real(mod);
    default: return weir_val_real(real_pow(p, a, b));
    }
}

static struct weir_val numbers(struct weir_vpool *p, int op, struct weir_val a, struct weir_val b)
{
    struct weir_val r;
    if ((op == '/' || op == '%' || op == WEIR_OP2('/', '/')) && weir_val_f64(b) == 0)
        weir_vpool_fail(p, "division by zero");
    if (a.kind == WEIR_V_REAL || b.kind == WEIR_V_REAL)
        r = reals(p, op, weir_val_f64(a), weir_val_f64(b));
    else
        r = ints(p, op, weir_val_i64(a), weir_val_i64(b));
    r.said = a.said || b.said;
    return r;
}

static struct weir_val add_str(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    if (a.u.s->markup && !b.u.s->markup)
        b = weir_str_escape(p, b.u.s);
    else if (b.u.s->markup && !a.u.s->markup)
        a = weir_str_escape(p, a.u.s);
    return weir_str_concat(p, a.u.s, b.u.s);
}

static struct weir_val add_list(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    struct weir_vlist *l = weir_vlist_new(p, a.u.l->n + b.u.l->n);
    weir_vpool_step(p, l->cap);
    for (size_t i = 0; i < a.u.l->n; i++)
        weir_vlist_push(p, l, a.u.l->v[i]);
    for (size_t i = 0; i < b.u.l->n; i++)
        weir_vlist_push(p, l, b.u.l->v[i]);
    return weir_val_of(a.kind, l);
}

static struct weir_val repeat(struct weir_vpool *p, struct weir_val a, int64_t n)
{
    if (a.kind == WEIR_V_STR)
        return weir_str_repeat(p, a.u.s, n);
    struct weir_vlist *l = weir_vlist_new(p, 0);
    if (a.u.l->n)
        for (; n > 0; n--) {
            weir_vpool_step(p, a.u.l->n);
            for (size_t i = 0; i < a.u.l->n; i++)
                weir_vlist_push(p, l, a.u.l->v[i]);
        }
    return weir_val_of(a.kind, l);
}

static bool repeats(struct weir_val v) { return v.kind == WEIR_V_STR || weir_val_is_seq(v); }

struct weir_val weir_jinja_binop(struct weir_vpool *p, int op, struct weir_val a, struct weir_val b)
{
    if (weir_val_is_num(a) && weir_val_is_num(b))
        return numbers(p, op, a, b);
    if (op == '%' && a.kind == WEIR_V_STR)
        return weir_jinja_percent(p, a.u.s, b);
    if (a.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, a);
    if (b.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, b);
    if (op == '+' && a.kind == WEIR_V_STR && b.kind == WEIR_V_STR)
        return add_str(p, a, b);
    if (op == '+' && weir_val_is_seq(a) && a.kind == b.kind)
        return add_list(p, a, b);
    if (op == '*' && repeats(a) && weir_val_is_int(b))
        return repeat(p, a, weir_val_i64(b));
    if (op == '*' && repeats(b) && weir_val_is_int(a))
        return repeat(p, b, weir_val_i64(a));
    fail_types(p, op, a, b);
}
