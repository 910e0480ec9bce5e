/* SPDX-License-Identifier: MIT
 *
 * Owns the table of splitting expressions and the only use of PCRE2.  Does not know tokens.
 *
 * An expression list is applied like this: the first cuts the text into its matches and the gaps
 * between them, the next cuts each of those pieces by itself (it sees the piece's end as the end of
 * the text), and so on.  Invariant: every expression needs time linear in the text, also when it
 * fails; that is why a few are written otherwise than where they come from.
 *
 * Any thread; match state is made per call. */
#include "config.h"

#include "src/text/pretok.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

#if HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MAX_PASSES 6

/* Unicode's White_Space, as the tokenizers' own regex engines have it; PCRE2's \s adds U+180E. */
#define WS                                                                                         \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define SPACES      "|[" WS "]+(?![^" WS "])|[" WS "]+"
#define LINES       "|[" WS "]*[\\r\\n]+" SPACES
#define SHORTENED   "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS     "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS     "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define HEAD        "[^\\r\\n\\p{L}\\p{N}]?"
#define ASCII_PUNCT "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

#define RE_GPT2   "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+" SPACES
#define RE_LLAMA3 SHORTENED LETTERS "|\\p{N}{1,3}" SYMBOLS LINES
#define RE_QWEN2  SHORTENED LETTERS "|\\p{N}" SYMBOLS LINES
#define RE_QWEN35                                                                                  \
    SHORTENED "|" HEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" LINES
#define RE_DS3_MAIN(newline)                                                                       \
    ASCII_PUNCT "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" newline
#define RE_CJK_KANA   "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}]+"
#define RE_CJK_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define RE_O200K(tail, digits)                                                                     \
    HEAD UPPER "*" LOWER "+" tail "|" HEAD UPPER "+" LOWER "*" tail "|" digits "| ?[^" WS          \
               "\\p{L}\\p{N}]+[\\r\\n/]*" LINES
#define RE_BLOOM " ?[^(" WS "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
/* The letters that have case, as deepseek-llm lists them. */
#define CASED                                                                                      \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{"    \
    "293}"                                                                                         \
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}"          \
    "\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"                 \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"  \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"                 \
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"                 \
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"         \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"        \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}"                 \
    "\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{"     \
    "2124}"                                                                                        \
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"         \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"         \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"                  \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}"                 \
    "\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"                 \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"         \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

static const struct pre {
    const char *names; /* separated by spaces */
    bool ignore_merges, add_bos;
    const char *re[MAX_PASSES + 1];
} pres[] = {
    { "default",
      false,
      false,
      { "[\\p{P}\\$\\+<=>\\^~\\|]+", RE_GPT2, "\\p{N}+", "[0-9][0-9][0-9]" } },
    { "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
      true,
      true,
      { RE_LLAMA3 } },
    { "dbrx smaug-bpe chatglm-bpe glm4", false, false, { RE_LLAMA3 } },
    { "qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan solar-open grok-2 kormo f2llmv2",
      false,
      false,
      { RE_QWEN2 } },
    { "qwen35", false, false, { RE_QWEN35 } },
    { "gpt-2 gpt2 gpt-neox mpt olmo jais phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat "
      "a.x-4.0 "
      "mellum exaone4 trillion granite-docling",
      false,
      false,
      { RE_GPT2 } },
    { "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
      false,
      false,
      { "\\p{N}", RE_GPT2 } },
    { "falcon", false, false, { "[\\p{P}\\$\\+<=>\\^~\\|`]+", RE_GPT2, "[0-9][0-9][0-9]" } },
    { "deepseek-llm",
      false,
      false,
      { "[\\r\\n]", "[" WS "]?[" CASED "]+",
        "[" WS
        "]?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
        /* \s+$ with a look behind, without which a run of n spaces costs n * n */
        "(?<![" WS "])[" WS "]++$", RE_CJK_HANGUL, "\\p{N}+" } },
    { "deepseek-coder",
      false,
      false,
      { "[\\r\\n]", "[" WS "]?\\p{L}+", "[" WS "]?\\p{P}+", RE_CJK_HANGUL, "\\p{N}" } },
    { "deepseek-v3 hunyuan-dense joyai-llm",
      false,
      false,
      { "\\p{N}{1,3}", RE_CJK_KANA, RE_DS3_MAIN("[\\r\\n]*") LINES } },
    { "bloom poro-chat gpt3-finnish", false, false, { RE_BLOOM } },
    { "viking", false, false, { RE_BLOOM, "\\p{N}" } },
    { "tekken", true, true, { RE_O200K("", "\\p{N}") } },
    { "gpt-4o llama4 kanana2 minimax-m2",
      false,
      false,
      { RE_O200K(SHORTENED "?", "\\p{N}{1,3}") } },
    { "chameleon",
      false,
      true,
      { "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}",
        "[\\p{P}!-/:-@\\[-`{-~]", RE_GPT2 } },
    { "bailingmoe bailingmoe2 llada-moe",
      false,
      false,
      { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^" WS
        "\\p{L}\\p{N}]++[\\r\\n]*|[" WS "]*[\\r\\n]" SPACES } },
    { "seed-coder",
      false,
      false,
      { SHORTENED LETTERS "|\\p{N}| ?[^" WS "\\p{L}\\p{N}\\r\\n]+" LINES } },
    { "exaone-moe",
      false,
      false,
      { SHORTENED "|" HEAD "(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^" WS
                  "\\p{L}\\p{N}]+[\\r\\n/]?|[" WS "]*[\\r\\n]" SPACES } },
};

struct weir_pretok {
    const struct pre *pre;
    char name[40];
    unsigned n_pass;
    bool jit[MAX_PASSES];
    pcre2_code *code[MAX_PASSES];
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

static const struct pre *find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof(pres) / sizeof(pres[0]); i++)
        for (const char *s = pres[i].names; *s;) {
            const size_t len = strcspn(s, " ");
            if (len == n && !memcmp(s, name, n))
                return &pres[i];
            s += len + (s[len] == ' ');
        }
    return NULL;
}

int weir_pretok_new(const char *pre, size_t n, struct weir_pretok **ret, struct weir_err *err)
{
    if (!n) {
        pre = "default";
        n = strlen(pre);
    }
    const struct pre *found = find(pre, n);
    if (!found)
        return weir_fail(err, -ENOTSUP,
                         "tokenizer.ggml.pre is '%.*s', a way to split text that this "
                         "program does not know",
                         (int)(n < 80 ? n : 80), pre);

    struct weir_pretok *p = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*p));
    pcre2_general_context *mem = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *how = mem ? pcre2_compile_context_create(mem) : NULL;
    int rc = -ENOMEM;
    if (!p || !how) {
        weir_fail(err, rc, "no memory for the expressions of '%s'", found->names);
        goto out;
    }
    p->pre = found;
    memcpy(p->name, pre, n < sizeof(p->name) ? n : sizeof(p->name) - 1);
    for (; p->n_pass < MAX_PASSES && found->re[p->n_pass]; p->n_pass++) {
        int code;
        PCRE2_SIZE at;
        pcre2_code *c =
            pcre2_compile((PCRE2_SPTR)found->re[p->n_pass], PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &at, how);
        if (!c) {
            PCRE2_UCHAR why[120] = "";
            pcre2_get_error_message(code, why, sizeof(why));
            rc = code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -ENOTSUP;
            weir_fail(err, rc, "expression %u of '%s' does not compile at %zu: %s", p->n_pass + 1,
                      p->name, (size_t)at, (const char *)why);
            goto out;
        }
        p->code[p->n_pass] = c;
        p->jit[p->n_pass] = pcre2_jit_compile(c, PCRE2_JIT_COMPLETE) == 0;
    }
    *ret = p;
    p = NULL;
    rc = 0;
out:
    pcre2_compile_context_free(how);
    pcre2_general_context_free(mem);
    weir_pretok_free(p);
    return rc;
}

void weir_pretok_free(struct weir_pretok *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_pass; i++)
        pcre2_code_free(p->code[i]);
    weir_free(p);
}

const char *weir_pretok_name(const struct weir_pretok *p) { return p->name; }
bool weir_pretok_ignore_merges(const struct weir_pretok *p) { return p->pre->ignore_merges; }
bool weir_pretok_add_bos(const struct weir_pretok *p) { return p->pre->add_bos; }

struct walk {
    const struct weir_pretok *p;
    const uint8_t *text;
    pcre2_match_context *limits;
    pcre2_match_data *found[MAX_PASSES];
    int (*word)(void *ctx, size_t start, size_t end);
    void *ctx;
    struct weir_err *err;
};

static int match(const struct walk *w, unsigned pass, PCRE2_SPTR s, size_t n, size_t from)
{
    const pcre2_code *code = w->p->code[pass];
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (w->p->jit[pass])
        rc = pcre2_jit_match(code, s, n, from, PCRE2_NO_UTF_CHECK, w->found[pass], w->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, s, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w->found[pass],
                         w->limits);
    return rc;
}

/* Cut text[start..end), which is valid UTF-8, by expression PASS and those after it. */
static int cut(const struct walk *w, unsigned pass, size_t start, size_t end)
{
    if (start == end)
        return 0;
    if (pass == w->p->n_pass)
        return w->word(w->ctx, start, end);

    const PCRE2_SPTR s = w->text + start;
    const size_t n = end - start;
    size_t done = 0;
    int rc = 0;
    while (!rc && done < n) {
        const int m = match(w, pass, s, n, done);
        if (m == PCRE2_ERROR_NOMATCH)
            break;
        if (m < 0)
            return weir_fail(w->err, m == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL,
                             "expression %u of '%s' gave up (PCRE2 error %d) %zu bytes into a text",
                             pass + 1, w->p->name, m, start + done);
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->found[pass]);
        const size_t a = v[0], b = v[1];
        if (b <= a || a < done) /* no expression of the table matches nothing */
            return weir_fail(w->err, -EINVAL, "expression %u of '%s' matched nothing", pass + 1,
                             w->p->name);
        rc = cut(w, pass + 1, start + done, start + a);
        if (!rc)
            rc = cut(w, pass + 1, start + a, start + b);
        done = b;
    }
    return rc ? rc : cut(w, pass + 1, start + done, end);
}

int weir_pretok_split(const struct weir_pretok *p, const uint8_t *text, size_t n,
                      int (*word)(void *ctx, size_t start, size_t end), void *ctx,
                      struct weir_err *err)
{
    struct walk w = { .p = p, .text = text, .word = word, .ctx = ctx, .err = err };
    pcre2_general_context *mem = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    w.limits = mem ? pcre2_match_context_create(mem) : NULL;
    int rc = w.limits ? 0 : -ENOMEM;
    for (unsigned i = 0; !rc && i < p->n_pass; i++)
        if (!(w.found[i] = pcre2_match_data_create(1, mem)))
            rc = -ENOMEM;
    if (rc) {
        weir_fail(err, rc, "no memory to split %zu bytes of text", n);
        goto out;
    }
    /* Far above what a linear expression needs, far below what would look like a hang. */
    pcre2_set_match_limit(w.limits, n < (1u << 26) ? 1000000 + 32 * (uint32_t)n : UINT32_MAX);
    pcre2_set_heap_limit(w.limits, 65536); /* KiB */

    size_t start = 0, at = 0;
    while (!rc && at < n) {
        size_t len;
        if (text[at] < 0x80) {
            at++;
        } else if (weir_utf8_step(text + at, n - at, &len) == WEIR_UTF8_OK) {
            at += len;
        } else {
            rc = cut(&w, 0, start, at);
            if (!rc)
                rc = word(ctx, at, at + 1);
            start = ++at;
        }
    }
    if (!rc)
        rc = cut(&w, 0, start, n);
out:
    for (unsigned i = 0; i < p->n_pass; i++)
        pcre2_match_data_free(w.found[i]);
    pcre2_match_context_free(w.limits);
    pcre2_general_context_free(mem);
    return rc;
}

#else /* !HAVE_PCRE2 */

int weir_pretok_new(const char *pre, size_t n, struct weir_pretok **ret, struct weir_err *err)
{
    (void)ret;
    return weir_fail(err, -ENOTSUP,
                     "the tokenizer is byte-level BPE ('%.*s'), which needs a build of "
                     "this program with PCRE2",
                     (int)(n < 80 ? n : 80), n ? pre : "");
}

void weir_pretok_free(struct weir_pretok *p) { (void)p; }
const char *weir_pretok_name(const struct weir_pretok *p)
{
    (void)p;
    return "none";
}
bool weir_pretok_ignore_merges(const struct weir_pretok *p)
{
    (void)p;
    return false;
}
bool weir_pretok_add_bos(const struct weir_pretok *p)
{
    (void)p;
    return false;
}

int weir_pretok_split(const struct weir_pretok *p, const uint8_t *text, size_t n,
                      int (*word)(void *ctx, size_t start, size_t end), void *ctx,
                      struct weir_err *err)
{
    (void)p, (void)text, (void)n, (void)word, (void)ctx;
    return weir_fail(err, -ENOTSUP, "this program was built without PCRE2");
}

#endif
