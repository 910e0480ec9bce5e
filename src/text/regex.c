/* SPDX-License-Identifier: MIT
 *
 * Owns the only use of PCRE2.  Invariant: no search takes longer than a fixed multiple of the text,
 * whatever the expression is.
 *
 * Any thread; match state is made per call. */
#include "config.h"

#include "src/text/regex.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

#if HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Unicode's White_Space, as the tokenizers' own regex engines have it; PCRE2's \s adds U+180E. */
#define WS                                                                                         \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

/* What \w is in those engines (UTS 18); PCRE2's lacks the marks. */
#if PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#else
#define WORD "\\p{L}\\p{Nl}\\p{M}\\p{Nd}\\p{Pc}"
#endif

struct weir_regex {
    pcre2_code *code;
    bool jit;
};

struct weir_regex_run {
    pcre2_match_context *limits;
    pcre2_match_data *found;
};

static void *pcre_alloc(size_t n, void *unused)
{
    (void)unused;
    return weir_alloc(WEIR_MEM_TEXT, n, 1);
}

static void pcre_free(void *p, void *unused)
{
    (void)unused;
    weir_free(p);
}

/* ---- from the dialect of the files to PCRE2's ---- */

struct spelling {
    const char *in;
    size_t n, i;
    char *out; /* room for spelled_max(n) */
    size_t m;
    bool foreign; /* something PCRE2 would read otherwise */
};

static size_t spelled_max(size_t n) { return n * (sizeof(WS) + sizeof(WORD) + 8) / 2 + 16; }

static void put(struct spelling *s, const char *text, size_t n)
{
    memcpy(s->out + s->m, text, n);
    s->m += n;
}

/* A backslash and what follows it. */
static void spell_escape(struct spelling *s, bool in_class)
{
    const char e = s->i + 1 < s->n ? s->in[s->i + 1] : 0;
    const char *to = e == 's'   ? WS
                     : e == 'w' ? WORD
                                : NULL,
               *not_to = e == 'S'   ? WS
                         : e == 'W' ? WORD
                                    : NULL;
    if (to && in_class) {
        put(s, to, strlen(to));
    } else if (to || (not_to && !in_class)) {
        put(s, to ? "[" : "[^", to ? 1 : 2);
        put(s, to ? to : not_to, strlen(to ? to : not_to));
        put(s, "]", 1);
    } else {
        put(s, s->in + s->i, s->i + 1 < s->n ? 2 : 1);
    }
    s->i += s->i + 1 < s->n ? 2 : 1;
}

/* A bracketed class.  [A&&[^B]] is what is in A and not in B, [A[B]] what is in either. */
static void spell_class(struct spelling *s)
{
    const size_t start = s->m;
    put(s, s->in + s->i++, 1);
    if (s->i < s->n && s->in[s->i] == '^')
        put(s, s->in + s->i++, 1);
    if (s->i < s->n && s->in[s->i] == ']') /* a bracket right here is a character */
        put(s, s->in + s->i++, 1);
    while (s->i < s->n && s->in[s->i] != ']') {
        const char *p = s->in + s->i;
        const size_t left = s->n - s->i;
        if (*p == '\\') {
            spell_escape(s, true);
        } else if (left > 3 && !memcmp(p, "&&[", 3)) { /* as a look behind after the rest */
            memmove(s->out + start + 3, s->out + start, s->m - start);
            memcpy(s->out + start, "(?:", 3);
            s->m += 3;
            put(s, "](?<=", 5);
            s->i += 2;
            spell_class(s);
            put(s, "))", 2);
            s->foreign = s->foreign || s->i >= s->n || s->in[s->i] != ']';
            s->i++;
            return;
        } else if (*p == '[' && left > 1 && p[1] != ':' && p[1] != '^') { /* a union */
            s->i++;
            while (s->i < s->n && s->in[s->i] != ']')
                if (s->in[s->i] == '\\')
                    spell_escape(s, true);
                else
                    put(s, s->in + s->i++, 1);
            s->i++;
        } else if (*p == '[' && left > 1 && p[1] == ':') {
            const char *close = memmem(p, left, ":]", 2);
            const size_t len = close ? (size_t)(close - p) + 2 : 1;
            put(s, p, len);
            s->i += len;
        } else {
            s->foreign = s->foreign || *p == '[' || (left > 1 && p[0] == '&' && p[1] == '&');
            put(s, p, 1);
            s->i++;
        }
    }
    if (s->i < s->n)
        put(s, s->in + s->i++, 1);
}

/* PATTERN in PCRE2's dialect, *RET_N bytes.  NULL: no memory, or (*RET_N = 0) not to be said there.
 */
static char *spell(const char *pattern, size_t n, size_t *ret_n)
{
    struct spelling s = { .in = pattern, .n = n };
    *ret_n = 1;
    s.out = weir_alloc(WEIR_MEM_TEXT, spelled_max(n), 1);
    if (!s.out)
        return NULL;
    while (s.i < n)
        if (pattern[s.i] == '\\')
            spell_escape(&s, false);
        else if (pattern[s.i] == '[')
            spell_class(&s);
        else
            put(&s, pattern + s.i++, 1);
    *ret_n = s.m;
    if (!s.foreign)
        return s.out;
    weir_free(s.out);
    *ret_n = 0;
    return NULL;
}

int weir_regex_new(const char *pattern, size_t n, bool literal, struct weir_regex **ret,
                   struct weir_err *err)
{
    if (n > WEIR_REGEX_MAX_BYTES)
        return weir_fail(err, -ENOTSUP, "a regular expression has %zu bytes; at most %u are read",
                         n, WEIR_REGEX_MAX_BYTES);
    size_t m = n;
    char *spelled = literal ? NULL : spell(pattern, n, &m);
    struct weir_regex *r = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*r));
    pcre2_general_context *mem = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *how = mem ? pcre2_compile_context_create(mem) : NULL;
    int rc = -ENOMEM, code;
    PCRE2_SIZE at;
    if (!literal && !spelled && !m) {
        rc = weir_fail(err, -ENOTSUP,
                       "the regular expression '%.*s' nests classes in a way that is "
                       "not known",
                       (int)(n < 200 ? n : 200), pattern);
        goto out;
    }
    if (!r || !how || (!spelled && !literal)) {
        weir_fail(err, rc, "no memory for a regular expression of %zu bytes", n);
        goto out;
    }
    r->code =
        pcre2_compile((PCRE2_SPTR)(literal ? pattern : spelled), m,
                      PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_DOLLAR_ENDONLY),
                      &code, &at, how);
    if (!r->code) {
        PCRE2_UCHAR why[120] = "";
        pcre2_get_error_message(code, why, sizeof(why));
        rc = code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -ENOTSUP;
        weir_fail(err, rc, "the regular expression '%.*s' does not compile: %s",
                  (int)(n < 200 ? n : 200), pattern, (const char *)why);
        goto out;
    }
    r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
    *ret = r;
    r = NULL;
    rc = 0;
out:
    pcre2_compile_context_free(how);
    pcre2_general_context_free(mem);
    weir_free(spelled);
    weir_regex_free(r);
    return rc;
}

void weir_regex_free(struct weir_regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    weir_free(r);
}

int weir_regex_run_new(size_t n, struct weir_regex_run **ret, struct weir_err *err)
{
    struct weir_regex_run *s = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*s));
    pcre2_general_context *mem = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    if (s && mem) {
        s->limits = pcre2_match_context_create(mem);
        s->found = pcre2_match_data_create(1, mem);
    }
    pcre2_general_context_free(mem);
    if (!s || !s->limits || !s->found) {
        weir_regex_run_free(s);
        return weir_fail(err, -ENOMEM, "no memory to split %zu bytes of text", n);
    }
    /* Far above what a linear expression needs, far below what would look like a hang. */
    pcre2_set_match_limit(s->limits, n < (1u << 26) ? 1000000 + 32 * (uint32_t)n : UINT32_MAX);
    pcre2_set_heap_limit(s->limits, 65536); /* KiB */
    *ret = s;
    return 0;
}

void weir_regex_run_free(struct weir_regex_run *s)
{
    if (!s)
        return;
    pcre2_match_data_free(s->found);
    pcre2_match_context_free(s->limits);
    weir_free(s);
}

int weir_regex_find(const struct weir_regex *r, struct weir_regex_run *s, const uint8_t *text,
                    size_t n, size_t from, size_t *ret_start, size_t *ret_end, struct weir_err *err)
{
    const uint32_t how = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (r->jit)
        rc = pcre2_jit_match(r->code, text, n, from, how, s->found, s->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->code, text, n, from, how | PCRE2_NO_JIT, s->found, s->limits);
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0)
        return weir_fail(
            err, rc == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL,
            "a regular expression of the model gave up (PCRE2 error %d) %zu bytes into "
            "a text",
            rc, from);
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->found);
    if (v[0] < from || v[1] <= v[0]) /* \K can move a start */
        return weir_fail(err, -EINVAL, "a regular expression of the model matched backwards");
    *ret_start = v[0];
    *ret_end = v[1];
    return 1;
}

#else /* !HAVE_PCRE2 */

int weir_regex_new(const char *pattern, size_t n, bool literal, struct weir_regex **ret,
                   struct weir_err *err)
{
    (void)pattern, (void)n, (void)literal, (void)ret;
    return weir_fail(
        err, -ENOTSUP,
        "the tokenizer splits text by regular expressions, which needs a build of this "
        "program with PCRE2");
}

void weir_regex_free(struct weir_regex *r) { (void)r; }

int weir_regex_run_new(size_t n, struct weir_regex_run **ret, struct weir_err *err)
{
    (void)n, (void)ret;
    return weir_fail(err, -ENOTSUP, "this program was built without PCRE2");
}

void weir_regex_run_free(struct weir_regex_run *s) { (void)s; }

int weir_regex_find(const struct weir_regex *r, struct weir_regex_run *s, const uint8_t *text,
                    size_t n, size_t from, size_t *ret_start, size_t *ret_end, struct weir_err *err)
{
    (void)r, (void)s, (void)text, (void)n, (void)from, (void)ret_start, (void)ret_end;
    return weir_fail(err, -ENOTSUP, "this program was built without PCRE2");
}

#endif
