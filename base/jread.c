/* SPDX-License-Identifier: MIT
 *
 * Owns the grammar of JSON, one event at a time.  Invariant: every byte is looked at once, and pos
 * never passes size. */
#include "config.h"

#include "base/jread.h"

#include "base/num.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBER 512u

enum { /* what may come next */
       VALUE,
       VALUE_OR_END, /* after [ */
       KEY,          /* after , in an object */
       KEY_OR_END,   /* after { */
       COMMA_OR_END,
       NOTHING,
       FAILED,
};

void weir_jread_init(struct weir_jread *r, const void *text, size_t n)
{
    *r = (struct weir_jread){ .text = text, .size = n, .expect = VALUE };
    if (n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) /* a byte order mark is common, and harmless */
        r->pos = 3;
}

static enum weir_json_event bad(struct weir_jread *r, const char *what)
{
    if (r->expect != FAILED)
        r->what = what;
    r->expect = FAILED;
    return WEIR_JSON_BAD;
}

static int peek(const struct weir_jread *r) { return r->pos < r->size ? r->text[r->pos] : -1; }

static void skip_space(struct weir_jread *r)
{
    while (r->pos < r->size) {
        const uint8_t c = r->text[r->pos];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        r->pos++;
    }
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        const int d = weir_digit(p[i], 16);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static bool read_string(struct weir_jread *r)
{
    const size_t start = ++r->pos;
    r->escaped = false;
    while (r->pos < r->size) {
        const uint8_t c = r->text[r->pos];
        size_t len = 1;
        if (c == '"') {
            r->raw = r->text + start;
            r->n = r->pos++ - start;
            return true;
        }
        if (c < 0x20) {
            bad(r, "a control character in a string");
            return false;
        }
        if (c == '\\') {
            r->escaped = true;
            const int e = r->pos + 1 < r->size ? r->text[r->pos + 1] : 0;
            if (e == 'u') {
                if (r->size - r->pos < 6 || hex4(r->text + r->pos + 2) < 0)
                    break;
                len = 6;
            } else if (e && strchr("\"\\/bfnrt", e)) {
                len = 2;
            } else {
                break;
            }
        } else if (c >= 0x80 &&
                   weir_utf8_step(r->text + r->pos, r->size - r->pos, &len) != WEIR_UTF8_OK) {
            bad(r, "a string that is not UTF-8");
            return false;
        }
        r->pos += len;
    }
    bad(r, r->pos < r->size ? "a wrong escape in a string" : "a string without end");
    return false;
}

static size_t digits(struct weir_jread *r)
{
    const size_t start = r->pos;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->pos++;
    return r->pos - start;
}

static bool word(struct weir_jread *r, const char *w)
{
    const size_t n = strlen(w);
    if (r->size - r->pos < n || memcmp(r->text + r->pos, w, n))
        return false;
    r->raw = r->text + r->pos;
    r->n = n;
    r->pos += n;
    return true;
}

static enum weir_json_event read_number(struct weir_jread *r)
{
    const size_t start = r->pos;
    enum weir_json_event ev = WEIR_JSON_INT;
    if (peek(r) == '-')
        r->pos++;
    const bool zero = peek(r) == '0';
    const size_t whole = digits(r);
    if (!whole || (zero && whole > 1))
        return bad(r, "a wrong number");
    if (peek(r) == '.') {
        r->pos++;
        ev = WEIR_JSON_REAL;
        if (!digits(r))
            return bad(r, "a wrong number");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->pos++;
        ev = WEIR_JSON_REAL;
        if (peek(r) == '+' || peek(r) == '-')
            r->pos++;
        if (!digits(r))
            return bad(r, "a wrong number");
    }
    r->raw = r->text + start;
    r->n = r->pos - start;
    return r->n <= MAX_NUMBER ? ev : bad(r, "a number of more than 512 characters");
}

static enum weir_json_event open(struct weir_jread *r, bool array)
{
    if (r->depth == WEIR_JREAD_MAX_DEPTH)
        return bad(r, "more than 512 lists and objects in each other");
    r->pos++;
    const uint8_t bit = (uint8_t)(1u << (r->depth % 8));
    uint8_t *b = &r->is_array[r->depth++ / 8];
    *b = array ? *b | bit : *b & (uint8_t)~bit;
    r->expect = array ? VALUE_OR_END : KEY_OR_END;
    return array ? WEIR_JSON_ARRAY : WEIR_JSON_OBJECT;
}

static bool in_array(const struct weir_jread *r)
{
    return r->is_array[(r->depth - 1) / 8] >> ((r->depth - 1) % 8) & 1;
}

static void value_done(struct weir_jread *r) { r->expect = r->depth ? COMMA_OR_END : NOTHING; }

static enum weir_json_event close(struct weir_jread *r)
{
    const bool array = in_array(r);
    r->pos++;
    r->depth--;
    value_done(r);
    return array ? WEIR_JSON_ARRAY_END : WEIR_JSON_OBJECT_END;
}

static enum weir_json_event read_value(struct weir_jread *r)
{
    enum weir_json_event ev;
    const int c = peek(r);
    if (c == '{' || c == '[')
        return open(r, c == '[');
    if (c == '"')
        ev = read_string(r) ? WEIR_JSON_STR : WEIR_JSON_BAD;
    else if (word(r, "null"))
        ev = WEIR_JSON_NULL;
    else if (word(r, "true"))
        ev = WEIR_JSON_TRUE;
    else if (word(r, "false"))
        ev = WEIR_JSON_FALSE;
    else if (r->python && (word(r, "NaN") || word(r, "Infinity") || word(r, "-Infinity")))
        ev = WEIR_JSON_REAL;
    else if (c == '-' || (c >= '0' && c <= '9'))
        ev = read_number(r);
    else
        return bad(r, c < 0 ? "it ends too early" : "no value where one must be");
    if (ev != WEIR_JSON_BAD)
        value_done(r);
    return ev;
}

static enum weir_json_event read_key(struct weir_jread *r)
{
    if (peek(r) != '"')
        return bad(r, peek(r) < 0 ? "it ends too early" : "no key where one must be");
    if (!read_string(r))
        return WEIR_JSON_BAD;
    const size_t end = r->pos; /* should the colon be missing, the message points there */
    skip_space(r);
    if (peek(r) != ':') {
        r->pos = end;
        return bad(r, "no colon after a key");
    }
    r->pos++;
    r->expect = VALUE;
    return WEIR_JSON_KEY;
}

enum weir_json_event weir_jread_next(struct weir_jread *r)
{
    if (r->expect == FAILED)
        return WEIR_JSON_BAD;
    skip_space(r);
    const int c = peek(r);
    switch (r->expect) {
    case VALUE_OR_END: return c == ']' ? close(r) : read_value(r);
    case KEY_OR_END: return c == '}' ? close(r) : read_key(r);
    case KEY: return read_key(r);
    case COMMA_OR_END:
        if (c == (in_array(r) ? ']' : '}'))
            return close(r);
        if (c != ',')
            return bad(r, c < 0 ? "it ends too early" : "no comma where one must be");
        r->pos++;
        skip_space(r);
        return in_array(r) ? read_value(r) : read_key(r);
    case NOTHING: return c < 0 ? WEIR_JSON_DONE : bad(r, "more after the end");
    default: return read_value(r);
    }
}

bool weir_jread_skip(struct weir_jread *r, enum weir_json_event ev)
{
    if (ev == WEIR_JSON_KEY)
        ev = weir_jread_next(r);
    if (ev == WEIR_JSON_OBJECT || ev == WEIR_JSON_ARRAY) {
        const uint32_t outside = r->depth - 1;
        while (r->depth > outside)
            if (weir_jread_next(r) == WEIR_JSON_BAD)
                return false;
    }
    return ev != WEIR_JSON_BAD;
}

size_t weir_jread_text(const struct weir_jread *r, uint8_t *out)
{
    if (!r->escaped) {
        memcpy(out, r->raw, r->n);
        return r->n;
    }
    size_t n = 0;
    for (size_t i = 0; i < r->n;) {
        const uint8_t *p = r->raw + i;
        if (*p != '\\') {
            out[n++] = *p;
            i++;
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        if (p[1] != 'u') {
            const char *f = strchr(from, p[1]);
            out[n++] = f ? (uint8_t)to[f - from] : p[1];
            i += 2;
            continue;
        }
        uint32_t c = (uint32_t)hex4(p + 2);
        i += 6;
        if (c >= 0xD800 && c < 0xE000) {
            const int low =
                c < 0xDC00 && r->n - i >= 6 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
                i += 6;
            } else {
                c = 0xFFFD;
            }
        }
        n += weir_utf8_put(out + n, c);
    }
    return n;
}

bool weir_jread_is(const struct weir_jread *r, const char *s)
{
    uint8_t text[256];
    const size_t n = strlen(s);
    if (!r->escaped)
        return r->n == n && !memcmp(r->raw, s, n);
    return r->n <= sizeof(text) && weir_jread_text(r, text) == n && !memcmp(text, s, n);
}

bool weir_jread_i64(const struct weir_jread *r, int64_t *ret)
{
    const bool minus = r->n && r->raw[0] == '-';
    int64_t v = 0; /* counted downwards: there is one more negative number */
    for (size_t i = minus; i < r->n; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, r->raw[i] - '0', &v))
            return false;
    if (!minus && __builtin_sub_overflow((int64_t)0, v, &v))
        return false;
    *ret = v;
    return true;
}

double weir_jread_double(const struct weir_jread *r)
{
    char text[MAX_NUMBER + 1];
    memcpy(text, r->raw, r->n);
    text[r->n] = 0;
    return strtod(text, NULL);
}

int weir_jread_fail(const struct weir_jread *r, const char *name, struct weir_err *err)
{
    return weir_fail(err, -EINVAL, "%s is not JSON: %s at byte %zu", name,
                     r->what ? r->what : "something is wrong", r->pos);
}
