/* SPDX-License-Identifier: MIT
 *
 * Owns the only use of utf8proc: Unicode's normalization forms, case, marks and grapheme clusters.
 *
 * Normalization works on stretches that cannot influence each other, so that the origin of what it
 * changes stays known to a few characters.  No state: any thread. */
#include "config.h"

#include "src/text/norm.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

bool weir_unicode_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

#if HAVE_UTF8PROC

#include <utf8proc.h>

bool weir_unicode_here(void) { return true; }

/* The character at I of T; its length, or 0: no character. */
static size_t get(const struct weir_ntext *t, size_t i, uint32_t *ret)
{
    size_t len;
    *ret = weir_utf8_get(t->v + i, t->n - i, &len);
    return *ret == WEIR_UTF8_NONE ? 0 : len;
}

/* May C change what stands before it?  Marks can, and letters of Hangul that join; also the
 * half-width forms that become such. */
static bool leans_back(uint32_t c)
{
    if (c < 0x300)
        return false;
    if ((c >= 0x1100 && c <= 0x11FF) || (c >= 0x3130 && c <= 0x318F) ||
        (c >= 0xA960 && c <= 0xA97F) || (c >= 0xD7B0 && c <= 0xD7FF) ||
        (c >= 0xFF9E && c <= 0xFFDC))
        return true;
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
    return p->combining_class || p->category == UTF8PROC_CATEGORY_MN ||
           p->category == UTF8PROC_CATEGORY_MC || p->category == UTF8PROC_CATEGORY_ME;
}

/* in[a..b) is one stretch. */
static int stretch(utf8proc_option_t how, const struct weir_ntext *in, size_t a, size_t b,
                   struct weir_ntext *out)
{
    utf8proc_int32_t fixed[256], *c = fixed;
    const utf8proc_ssize_t n = (utf8proc_ssize_t)(b - a);
    utf8proc_ssize_t m = utf8proc_decompose(in->v + a, n, fixed, 256, how);
    int rc = 0;
    if (m > 256) {
        c = weir_alloc(WEIR_MEM_TEXT, (size_t)m, sizeof(*c));
        if (!c)
            return -ENOMEM;
        m = utf8proc_decompose(in->v + a, n, c, m, how);
    }
    if (m >= 0)
        m = utf8proc_normalize_utf32(c, m, how);
    const size_t start = out->n;
    for (utf8proc_ssize_t i = 0; !rc && i < m; i++) {
        uint8_t utf8[4];
        rc = weir_ntext_put(out, utf8, weir_utf8_put(utf8, (uint32_t)c[i]), in->from[a]);
    }
    if (c != fixed)
        weir_free(c);
    if (rc || m < 0)
        return rc ? rc : -ENOMEM;
    if (out->n - start == b - a && !memcmp(out->v + start, in->v + a, b - a)) /* nothing changed */
        memcpy(out->from + start, in->from + a, (b - a) * sizeof(*in->from));
    return 0;
}

int weir_unicode_normalize(enum weir_norm_op form, const struct weir_ntext *in,
                           struct weir_ntext *out, struct weir_err *err)
{
    const utf8proc_option_t how =
        UTF8PROC_STABLE |
        (form == WEIR_NORM_NFC || form == WEIR_NORM_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
        (form == WEIR_NORM_NFKC || form == WEIR_NORM_NFKD ? UTF8PROC_COMPAT : 0);
    int rc = 0;
    (void)err;
    for (size_t a = 0; !rc && a < in->n;) {
        uint32_t c;
        size_t b = a, len = get(in, a, &c);
        if (!len) {
            rc = weir_ntext_put(out, in->v + a, 1, in->from[a]);
            a++;
            continue;
        }
        do
            b += len;
        while (b < in->n && (len = get(in, b, &c)) && leans_back(c));
        if (b - a == 1) /* ASCII by itself */
            rc = weir_ntext_put(out, in->v + a, 1, in->from[a]);
        else
            rc = stretch(how, in, a, b, out);
        a = b;
    }
    return rc;
}

int weir_unicode_lower(const struct weir_ntext *in, struct weir_ntext *out, struct weir_err *err)
{
    int rc = 0;
    (void)err;
    for (size_t i = 0, len; !rc && i < in->n; i += len) {
        uint32_t c;
        uint8_t utf8[4];
        len = get(in, i, &c);
        if (!len) {
            len = 1;
            rc = weir_ntext_put(out, in->v + i, 1, in->from[i]);
            continue;
        }
        if (c == 0x130) /* the one letter whose lower case is two characters */
            rc = weir_ntext_put(out, "i\xCC\x87", 3, in->from[i]);
        else
            rc =
                weir_ntext_put(out, utf8,
                               weir_utf8_put(utf8, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c)),
                               in->from[i]);
    }
    return rc;
}

int weir_unicode_strip_marks(const struct weir_ntext *in, struct weir_ntext *out,
                             struct weir_err *err)
{
    int rc = 0;
    (void)err;
    for (size_t i = 0, len; !rc && i < in->n; i += len) {
        uint32_t c;
        len = get(in, i, &c);
        const utf8proc_category_t k = utf8proc_category(len ? (utf8proc_int32_t)c : 0);
        if (!len ||
            (k != UTF8PROC_CATEGORY_MN && k != UTF8PROC_CATEGORY_MC && k != UTF8PROC_CATEGORY_ME))
            rc = weir_ntext_put(out, in->v + i, len ? len : 1, in->from[i]);
        len += !len;
    }
    return rc;
}

size_t weir_unicode_grapheme(const uint8_t *p, size_t n)
{
    size_t at = 0, len;
    utf8proc_int32_t before = 0, c, state = 0;
    while (at < n) {
        const uint32_t got = weir_utf8_get(p + at, n - at, &len);
        if (got == WEIR_UTF8_NONE)
            return at ? at : 1;
        c = (utf8proc_int32_t)got;
        if (at && utf8proc_grapheme_break_stateful(before, c, &state))
            break;
        before = c;
        at += len;
    }
    return at;
}

/* UTS 18: alphabetic, marks, decimal numbers, connectors, joiners. */
bool weir_unicode_is_word(uint32_t c)
{
    if (c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
        (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
        (c >= 0x1F170 && c <= 0x1F189))
        return true;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
    }
}

#else /* !HAVE_UTF8PROC: weir_norm_add refuses what would come here */

bool weir_unicode_here(void) { return false; }

int weir_unicode_normalize(enum weir_norm_op form, const struct weir_ntext *in,
                           struct weir_ntext *out, struct weir_err *err)
{
    (void)form, (void)in, (void)out;
    return weir_fail(err, -ENOTSUP, "this program was built without utf8proc");
}

int weir_unicode_lower(const struct weir_ntext *in, struct weir_ntext *out, struct weir_err *err)
{
    return weir_unicode_normalize(WEIR_NORM_LOWER, in, out, err);
}

int weir_unicode_strip_marks(const struct weir_ntext *in, struct weir_ntext *out,
                             struct weir_err *err)
{
    return weir_unicode_normalize(WEIR_NORM_STRIP_MARKS, in, out, err);
}

size_t weir_unicode_grapheme(const uint8_t *p, size_t n)
{
    size_t len;
    return weir_utf8_step(p, n, &len) == WEIR_UTF8_OK ? len : 1;
}

bool weir_unicode_is_word(uint32_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= 'a' && c <= 'z');
}

#endif
