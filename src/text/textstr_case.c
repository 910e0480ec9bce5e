/* SPDX-License-Identifier: MIT
 *
 * Owns what changes the characters of a string: case, padding, escapes.  Which byte of the result
 * comes from where is not followed here except for padding: if any came from the conversation, all
 * do.  One thread. */
#include "config.h"

#include "src/text/textstr.h"

#include "src/text/unicode.h"

/* Is the sigma at byte AT the last letter of a word?  It is when letters come before it and none
 * after, looking through what is ignorable. */
static bool final_sigma(const struct weir_str *s, size_t at, size_t after)
{
    size_t len;
    bool before = false;
    while (at > 0) {
        const size_t prev = weir_str_back(s, at);
        const unsigned m = weir_uni_props(weir_uni_get(s->p + prev, at - prev, &len));
        at = prev;
        if (m & WEIR_UNI_CASE_IGNORABLE)
            continue;
        before = m & WEIR_UNI_CASED;
        break;
    }
    uint32_t c;
    while (before && weir_str_next(s, &after, &c)) {
        const unsigned m = weir_uni_props(c);
        if (m & WEIR_UNI_CASE_IGNORABLE)
            continue;
        return !(m & WEIR_UNI_CASED);
    }
    return before;
}

struct weir_val weir_str_case(struct weir_vpool *p, const struct weir_str *s, char what)
{
    struct weir_sb b;
    size_t at = 0, before = 0;
    uint32_t c, out[3];
    bool first = true, in_word = false;
    weir_sb_init(&b, p);
    weir_vpool_step(p, s->n / 4);
    while (weir_str_next(s, &at, &c)) {
        const unsigned m = weir_uni_props(c);
        char how = what;
        if (what == 'c')
            how = first ? 'T' : 'l';
        else if (what == 't')
            how = in_word ? 'l' : 'T';
        else if (what == 's')
            how = m & WEIR_UNI_UPPER ? 'l' : m & WEIR_UNI_LOWER ? 'u' : 0;
        unsigned n = 1;
        out[0] = c;
        if (how == 'l' && c == 0x3a3)
            out[0] = final_sigma(s, before, at) ? 0x3c2 : 0x3c3;
        else if (how == 'l')
            n = weir_uni_lower(c, out);
        else if (how == 'u')
            n = weir_uni_upper(c, out);
        else if (how == 'T')
            n = weir_uni_title(c, out);
        else if (how == 'f')
            n = weir_uni_fold(c, out);
        for (unsigned i = 0; i < n; i++)
            weir_sb_char(&b, out[i], false);
        first = false;
        in_word = m & (WEIR_UNI_CASED | WEIR_UNI_LOWER | WEIR_UNI_UPPER | WEIR_UNI_TITLE);
        before = at;
    }
    if (weir_str_said(s))
        weir_sb_say_all(&b);
    struct weir_val v = weir_sb_done(&b);
    v.u.s->markup = s->markup;
    return v;
}

struct weir_val weir_str_pad(struct weir_vpool *p, const struct weir_str *s, int64_t width,
                             const struct weir_str *fill, char side)
{
    const int64_t have = (int64_t)weir_str_chars(p, s);
    if (width <= have)
        return weir_val_of(WEIR_V_STR, (void *)s);
    const int64_t pad = width - have;
    int64_t left = side == '>' ? pad : 0;
    if (side == '^')
        left = pad / 2 + (pad & width & 1);
    const struct weir_str *l = weir_str_repeat(p, fill, left).u.s;
    const struct weir_str *r = weir_str_repeat(p, fill, pad - left).u.s;
    struct weir_sb b;
    weir_sb_init(&b, p);
    weir_sb_str(&b, l);
    weir_sb_str(&b, s);
    weir_sb_str(&b, r);
    struct weir_val v = weir_sb_done(&b);
    v.u.s->markup = s->markup;
    return v;
}

struct weir_val weir_str_escape(struct weir_vpool *p, const struct weir_str *s)
{
    struct weir_sb b;
    size_t from = 0;
    weir_sb_init(&b, p);
    for (size_t i = 0; i < s->n; i++) {
        const char *to = s->p[i] == '&'    ? "&amp;"
                         : s->p[i] == '<'  ? "&lt;"
                         : s->p[i] == '>'  ? "&gt;"
                         : s->p[i] == '"'  ? "&#34;"
                         : s->p[i] == '\'' ? "&#39;"
                                           : NULL;
        if (!to)
            continue;
        weir_sb_sub(&b, s, from, i);
        weir_sb_puts(&b, to);
        from = i + 1;
    }
    weir_sb_sub(&b, s, from, s->n);
    if (from && weir_str_said(s))
        weir_sb_say_all(&b);
    struct weir_val v = weir_sb_done(&b);
    v.u.s->markup = true;
    return v;
}
