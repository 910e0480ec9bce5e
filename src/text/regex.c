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

/* PATTERN with \s, \S, \w and \W spelled out; *RET_N bytes.  NULL: no memory. */
static char *spell_classes(const char *pattern, size_t n, size_t *ret_n)
{
    size_t m = 0;
    bool in_class = false;
    char *out = weir_alloc(WEIR_MEM_TEXT, n * (sizeof(WS) + 3) / 2 + 8, 1);
    for (size_t i = 0; out && i < n; i++) {
        const char c = pattern[i];
        if (c == '\\' && i + 1 < n) {
            const char e = pattern[++i];
            const char *s = NULL;
            if (e == 's')
                s = in_class ? WS : "[" WS "]";
            else if (e == 'S' && !in_class)
                s = "[^" WS "]";
            else if (e == 'w')
                s = in_class ? WORD : "[" WORD "]";
            else if (e == 'W' && !in_class)
                s = "[^" WORD "]";
            if (s) {
                memcpy(out + m, s, strlen(s));
                m += strlen(s);
                continue;
            }
            out[m++] = c;
            out[m++] = e;
            continue;
        }
        if (c == '[' && !in_class) {
            in_class = true;
            out[m++] = c;
            if (i + 1 < n && pattern[i + 1] == '^')
                out[m++] = pattern[++i];
            if (i + 1 < n && pattern[i + 1] == ']') /* a bracket right here is a character */
                out[m++] = pattern[++i];
            continue;
        }
        if (c == ']' && in_class)
            in_class = false;
        out[m++] = c;
    }
    *ret_n = m;
    return out;
}

int weir_regex_new(const char *pattern, size_t n, bool literal, struct weir_regex **ret,
                   struct weir_err *err)
{
    if (n > WEIR_REGEX_MAX_BYTES)
        return weir_fail(err, -ENOTSUP, "a regular expression has %zu bytes; at most %u are read",
                         n, WEIR_REGEX_MAX_BYTES);
    size_t m = n;
    char *spelled = literal ? NULL : spell_classes(pattern, n, &m);
    struct weir_regex *r = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*r));
    pcre2_general_context *mem = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *how = mem ? pcre2_compile_context_create(mem) : NULL;
    int rc = -ENOMEM, code;
    PCRE2_SIZE at;
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
