/* SPDX-License-Identifier: MIT
 *
 * Owns reading Hugging Face's tokenizer.json, and the older pair vocab.json and merges.txt.  The
 * reference is the tokenizers library.  Strings are unescaped where they stand, so that a
 * vocabulary costs no memory beside its file.
 *
 * One thread, while loading. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 8

void tok_hf_done(struct tok_hf *hf)
{
    weir_free(hf->half[0]);
    weir_free(hf->half[1]);
    *hf = (struct tok_hf){ 0 };
}

/* ---- vocabularies ---- */

static int bad(const char *what, struct weir_err *err)
{
    return weir_fail(err, -EINVAL, "the vocabulary of the tokenizer is damaged: %s", what);
}

/* {"piece": id, ...} */
static int read_object(const struct tok_json *v, struct tok_source *s, struct weir_err *err)
{
    struct weir_jread r = v->r;
    uint32_t count = 0, max = 0;
    if (!v->there || v->ev != WEIR_JSON_OBJECT)
        return bad("it is no object", err);
    while (weir_jread_next(&r) == WEIR_JSON_KEY) {
        struct tok_json id = { .there = true };
        uint32_t n;
        id.ev = weir_jread_next(&r);
        id.r = r;
        if (!tok_json_u32(&id, &n) || n >= TOK_MAX_VOCAB)
            return bad("an id is no number below 2^24", err);
        max = n > max ? n : max;
        count++;
    }
    if (!count || max > 4 * (uint64_t)count + 100000)
        return bad("its ids are far apart", err);
    s->entry = weir_alloc(WEIR_MEM_TEXT, (size_t)max + 1, sizeof(*s->entry));
    if (!s->entry)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", max + 1);
    s->n_vocab = max + 1;
    for (uint32_t id = 0; id <= max; id++)
        s->entry[id].attr = WEIR_TOK_UNUSED;
    r = v->r;
    while (weir_jread_next(&r) == WEIR_JSON_KEY) {
        const struct tok_json key = { .r = r, .ev = WEIR_JSON_KEY, .there = true };
        struct tok_json value = { .there = true };
        const uint8_t *text;
        uint32_t id;
        size_t n;
        value.ev = weir_jread_next(&r);
        value.r = r;
        if (tok_json_u32(&value, &id) && tok_json_text(&key, &text, &n))
            tok_source_set(s, id, text, n, WEIR_TOK_NORMAL);
    }
    return 0;
}

/* A score as serde_json reads it, which the reference does: digits as an integer, times or divided
 * by a power of ten.  The last bit can differ from the nearest double, and ties are decided by it.
 */
static double score_of(const struct weir_jread *r)
{
    uint64_t digits = 0;
    int64_t exponent = 0;
    size_t i = r->n && r->raw[0] == '-';
    bool fraction = false;
    for (; i < r->n && r->raw[i] != 'e' && r->raw[i] != 'E'; i++) {
        if (r->raw[i] == '.') {
            fraction = true;
            continue;
        }
        const uint64_t d = r->raw[i] - '0';
        if (digits > (UINT64_MAX - d) / 10) { /* more digits than count */
            exponent += !fraction;
            continue;
        }
        digits = 10 * digits + d;
        exponent -= fraction;
    }
    if (i < r->n)
        exponent += strtol((const char *)r->raw + i + 1, NULL, 10);
    double v = (double)digits;
    if (exponent > 308 || exponent < -308)
        return weir_jread_double(r);
    v = exponent >= 0 ? v * pow(10, (double)exponent) : v / pow(10, (double)-exponent);
    return r->raw[0] == '-' ? -v : v;
}

/* [["piece", score], ...] */
static int read_scored(const struct tok_json *v, struct tok_source *s, struct weir_err *err)
{
    struct weir_jread r = v->r;
    struct tok_json item;
    uint32_t n = 0;
    if (!v->there || v->ev != WEIR_JSON_ARRAY)
        return bad("it is no list", err);
    while (tok_json_item(&r, &item))
        n++;
    if (!n || n > TOK_MAX_VOCAB)
        return bad("it is empty, or has more than 2^24 pieces", err);
    s->entry = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*s->entry));
    if (!s->entry)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", n);
    s->n_vocab = n;
    r = v->r;
    for (uint32_t id = 0; id < n && tok_json_item(&r, &item); id++) {
        struct weir_jread in = item.r;
        struct tok_json piece, score;
        const uint8_t *text;
        size_t len;
        if (item.ev != WEIR_JSON_ARRAY || !tok_json_item(&in, &piece) ||
            !tok_json_item(&in, &score) || !tok_json_text(&piece, &text, &len) ||
            (score.ev != WEIR_JSON_REAL && score.ev != WEIR_JSON_INT))
            return bad("a piece is not [text, score]", err);
        tok_source_set(s, id, text, len, WEIR_TOK_NORMAL);
        s->entry[id].score = score_of(&score.r);
    }
    return 0;
}

/* ---- merges ---- */

static bool keep_half(struct tok_hf *hf, unsigned which, const struct weir_jread *r, size_t *ret_n)
{
    const int rc = weir_reserve(WEIR_MEM_TEXT, &hf->half[which], &hf->cap[which], r->n + 1, 1);
    if (!rc)
        *ret_n = weir_jread_text(r, hf->half[which]);
    return !rc;
}

static void cut_at_space(const uint8_t *p, size_t n, const uint8_t **l, size_t *nl,
                         const uint8_t **r, size_t *nr)
{
    const uint8_t *gap = n > 2 ? memchr(p + 1, ' ', n - 1) : NULL;
    *l = p;
    *nl = gap ? (size_t)(gap - p) : 0;
    *r = gap ? gap + 1 : p;
    *nr = gap ? n - *nl - 1 : 0;
}

/* "left right", or ["left", "right"] */
static bool next_json(void *ctx, const uint8_t **l, size_t *nl, const uint8_t **r, size_t *nr)
{
    struct tok_hf *hf = ctx;
    struct tok_json item, half[2];
    size_t n;
    if (!tok_json_item(&hf->merges, &item))
        return false;
    *nl = *nr = 0;
    if (item.ev == WEIR_JSON_STR) {
        if (!keep_half(hf, 0, &item.r, &n))
            return false;
        cut_at_space(hf->half[0], n, l, nl, r, nr);
        return true;
    }
    struct weir_jread in = item.r;
    if (item.ev != WEIR_JSON_ARRAY || !tok_json_item(&in, &half[0]) ||
        !tok_json_item(&in, &half[1]) || half[0].ev != WEIR_JSON_STR || half[1].ev != WEIR_JSON_STR)
        return true;
    if (!keep_half(hf, 0, &half[0].r, nl) || !keep_half(hf, 1, &half[1].r, nr))
        return false;
    *l = hf->half[0];
    *r = hf->half[1];
    return true;
}

static bool next_line(void *ctx, const uint8_t **l, size_t *nl, const uint8_t **r, size_t *nr)
{
    struct tok_hf *hf = ctx;
    const uint8_t *p = hf->lines;
    if (p == hf->lines_end)
        return false;
    const uint8_t *nlp = memchr(p, '\n', (size_t)(hf->lines_end - p));
    const uint8_t *end = nlp ? nlp : hf->lines_end;
    hf->lines = nlp ? nlp + 1 : end;
    if (end > p && end[-1] == '\r')
        end--;
    cut_at_space(p, (size_t)(end - p), l, nl, r, nr);
    return true;
}

static int count_merges(const struct tok_json *v, uint32_t *ret, struct weir_err *err)
{
    struct weir_jread r = v->r;
    struct tok_json item;
    uint64_t n = 0;
    if (!v->there || v->ev != WEIR_JSON_ARRAY)
        return weir_fail(err, -EINVAL, "the tokenizer has no list of merges");
    while (tok_json_item(&r, &item))
        n++;
    if (n > 4 * (uint64_t)TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL, "the tokenizer has %llu merges; at most %u are believed",
                         (unsigned long long)n, 4 * TOK_MAX_VOCAB);
    *ret = (uint32_t)n;
    return 0;
}

/* ---- the model ---- */

static int refuse_affix(const struct tok_json *v, const char *what, struct weir_err *err)
{
    if (!v->there || v->ev != WEIR_JSON_STR || !v->r.n)
        return 0;
    return weir_fail(err, -ENOTSUP, "tokenizer.json has a %s, which this program does not know",
                     what);
}

static int read_model(const struct tok_json *v, struct tok_source *s, struct tok_hf *hf,
                      struct weir_err *err)
{
    static const char *const keys[] = { "type",
                                        "vocab",
                                        "merges",
                                        "unk_token",
                                        "unk_id",
                                        "byte_fallback",
                                        "fuse_unk",
                                        "ignore_merges",
                                        "continuing_subword_prefix",
                                        "end_of_word_suffix" };
    struct tok_json f[10];
    const uint8_t *unk;
    size_t n;
    int rc;
    if (!tok_json_fields(v, keys, f, 10))
        return weir_fail(err, -EINVAL, "tokenizer.json has no \"model\"");
    /* Files from before 2022 do not name the kind: merges tell BPE. */
    const bool bpe = tok_json_is(&f[0], "BPE") || (!f[0].there && f[2].there);
    if (!bpe && !tok_json_is(&f[0], "Unigram")) {
        const uint8_t *p = (const uint8_t *)"?";
        n = 1;
        tok_json_text(&f[0], &p, &n);
        return weir_fail(
            err, -ENOTSUP,
            "tokenizer.json has a model of the kind '%.*s'; this program knows BPE and "
            "Unigram",
            (int)(n < 60 ? n : 60), (const char *)p);
    }
    s->byte_fallback = s->normal_bytes = tok_json_true(&f[5], false);
    s->fuse_unk = tok_json_true(&f[6], !bpe);
    s->ignore_merges = tok_json_true(&f[7], false);
    s->chars = s->spelling != TOK_SPELL_BYTES;
    s->last_wins = true;
    if (!bpe) {
        s->kind = TOK_UNIGRAM;
        snprintf(s->kind_name, sizeof(s->kind_name), "unigram (tokenizer.json)");
        tok_json_u32(&f[4], &s->unk);
        return read_scored(&f[1], s, err);
    }
    s->kind = TOK_BPE;
    snprintf(s->kind_name, sizeof(s->kind_name), "%s (tokenizer.json)",
             s->chars ? "bpe" : "byte-bpe");
    hf->merges = f[2].r;
    s->next_merge = next_json;
    s->merge_ctx = hf;
    if ((rc = refuse_affix(&f[8], keys[8], err)) || (rc = refuse_affix(&f[9], keys[9], err)) ||
        (rc = count_merges(&f[2], &s->n_merge, err)) || (rc = read_object(&f[1], s, err)))
        return rc;
    if (tok_json_text(&f[3], &unk, &n))
        s->unk = tok_source_find(s, unk, n);
    return 0;
}

/* ---- around it ---- */

static int read_added(const struct tok_json *v, struct tok_side *side)
{
    static const char *const keys[] = { "id",          "content", "lstrip",    "rstrip",
                                        "single_word", "special", "normalized" };
    struct weir_jread r = v->r;
    struct tok_json item, f[7];
    int rc = 0;
    if (!v->there || v->ev != WEIR_JSON_ARRAY)
        return 0;
    while (!rc && tok_json_item(&r, &item)) {
        struct tok_added a = { 0 };
        size_t n;
        if (!tok_json_fields(&item, keys, f, 7) || !tok_json_u32(&f[0], &a.id) ||
            !tok_json_text(&f[1], &a.text, &n))
            continue;
        a.n = n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)n;
        a.flags = (uint8_t)((tok_json_true(&f[2], false) ? TOK_KEY_LSTRIP : 0) |
                            (tok_json_true(&f[3], false) ? TOK_KEY_RSTRIP : 0) |
                            (tok_json_true(&f[4], false) ? TOK_KEY_WORD : 0));
        a.special = tok_json_true(&f[5], false);
        a.normalized = tok_json_true(&f[6], false);
        rc = tok_side_add(side, a);
    }
    return rc;
}

/* What goes around a single text. */
static void post_processor(const struct tok_json *v, struct tok_source *s, unsigned depth)
{
    static const char *const keys[] = { "type", "processors", "single", "cls", "sep" };
    struct tok_json f[5], item;
    if (depth == MAX_NESTING || !tok_json_fields(v, keys, f, 5))
        return;
    struct weir_jread r = f[1].r;
    if (tok_json_is(&f[0], "Sequence") && f[1].there && f[1].ev == WEIR_JSON_ARRAY)
        while (tok_json_item(&r, &item))
            post_processor(&item, s, depth + 1);
    bool after = false;
    r = f[2].r;
    if (tok_json_is(&f[0], "TemplateProcessing") && f[2].there && f[2].ev == WEIR_JSON_ARRAY)
        while (tok_json_item(&r, &item)) {
            const struct tok_json special = tok_json_field(&item, "SpecialToken"),
                                  name = tok_json_field(&special, "id");
            const uint8_t *p;
            size_t n;
            if (!tok_json_text(&name, &p, &n)) {
                after = true;
                continue;
            }
            const uint32_t id = tok_source_find(s, p, n);
            if (id != WEIR_TOK_NONE && !after && s->n_prefix < 4)
                s->prefix[s->n_prefix++] = id;
            else if (id != WEIR_TOK_NONE && after && s->n_suffix < 4)
                s->suffix[s->n_suffix++] = id;
        }
    if (tok_json_is(&f[0], "RobertaProcessing") || tok_json_is(&f[0], "BertProcessing"))
        for (unsigned i = 3; i < 5; i++) {
            struct weir_jread in = f[i].r;
            struct tok_json name, id;
            uint32_t v32;
            if (f[i].there && f[i].ev == WEIR_JSON_ARRAY && tok_json_item(&in, &name) &&
                tok_json_item(&in, &id) && tok_json_u32(&id, &v32) && !s->n_suffix) {
                if (i == 3)
                    s->prefix[s->n_prefix++] = v32;
                else
                    s->suffix[s->n_suffix++] = v32;
            }
        }
}

/* Does decoding take a space off the front? */
static bool strips_space(const struct tok_json *v, unsigned depth)
{
    static const char *const keys[] = { "type",  "decoders",       "content",
                                        "start", "prepend_scheme", "add_prefix_space" };
    struct tok_json f[6], item;
    uint32_t n = 0;
    if (depth == MAX_NESTING || !tok_json_fields(v, keys, f, 6))
        return false;
    struct weir_jread r = f[1].r;
    if (tok_json_is(&f[0], "Sequence") && f[1].there && f[1].ev == WEIR_JSON_ARRAY)
        while (tok_json_item(&r, &item))
            if (strips_space(&item, depth + 1))
                return true;
    if (tok_json_is(&f[0], "Strip"))
        return tok_json_is(&f[2], " ") && tok_json_u32(&f[3], &n) && n;
    if (tok_json_is(&f[0], "Metaspace"))
        return f[4].there ? !tok_json_is(&f[4], "never") : tok_json_true(&f[5], true);
    return false;
}

int tok_read_json(const struct tok_json *root, struct tok_side *side, struct tok_source *s,
                  struct tok_hf *hf, struct weir_err *err)
{
    static const char *const keys[] = { "added_tokens",   "normalizer", "pre_tokenizer",
                                        "post_processor", "decoder",    "model" };
    struct tok_json f[6];
    int rc;
    if (!tok_json_fields(root, keys, f, 6))
        return weir_fail(err, -EINVAL, "tokenizer.json is no object");
    s->spelling = TOK_SPELL_2581;
    const struct tok_json decoder = tok_json_field(&f[4], "type");
    if (tok_json_is(&decoder, "ByteLevel"))
        s->spelling = TOK_SPELL_BYTES;
    if ((rc = tok_hf_steps(&f[1], &f[2], s, err)) || (rc = read_model(&f[5], s, hf, err)))
        return rc;
    s->add_space = strips_space(&f[4], 0);
    if ((rc = read_added(&f[0], side)))
        return weir_fail(err, rc, "no memory for the added tokens");
    if ((rc = tok_side_apply(side, s, err)))
        return rc;
    post_processor(&f[3], s, 0);
    /* The classes of these families put BOS and EOS as the configuration says, others as the
     * template says. */
    const bool by_config =
        strstr(side->cls, "Llama") || strstr(side->cls, "Gemma") || strstr(side->cls, "Cohere");
    if (!by_config || !side->says_bos)
        s->add_bos = false;
    else
        s->n_prefix = 0;
    if (!by_config || !side->says_eos)
        s->add_eos = false;
    else
        s->n_suffix = 0;
    if (s->n_prefix == 1 && s->bos == WEIR_TOK_NONE)
        s->bos = s->prefix[0];
    return 0;
}

int tok_read_vocab_merges(const struct tok_json *vocab, const char *merges, size_t n_merges,
                          const struct tok_side *side, struct tok_source *s, struct tok_hf *hf,
                          struct weir_err *err)
{
    const struct weir_norm_step nfc = { .op = WEIR_NORM_NFC }, space = {
        .op = WEIR_NORM_PREPEND_UNLESS, .a = " ", .n_a = 1, .b = " ", .n_b = 1
    };
    const bool qwen = strstr(side->cls, "Qwen") || !strncmp(side->model_type, "qwen", 4);
    int rc = read_object(vocab, s, err);
    if (rc)
        return rc;
    s->kind = TOK_BPE;
    s->spelling = TOK_SPELL_BYTES;
    s->last_wins = true;
    snprintf(s->kind_name, sizeof(s->kind_name), "byte-bpe (%s)", qwen ? "qwen2" : "gpt-2");
    hf->lines = (const uint8_t *)merges;
    hf->lines_end = hf->lines + n_merges;
    if (n_merges > 9 && !memcmp(merges, "#version:", 9)) { /* not a merge */
        const uint8_t *nl = memchr(hf->lines, '\n', n_merges);
        hf->lines = nl ? nl + 1 : hf->lines_end;
    }
    uint64_t lines = 1;
    for (const uint8_t *p = hf->lines; p < hf->lines_end; p++)
        lines += *p == '\n';
    if (lines > 4 * (uint64_t)TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL, "merges.txt has %llu lines; at most %u are believed",
                         (unsigned long long)lines, 4 * TOK_MAX_VOCAB);
    s->n_merge = (uint32_t)lines;
    s->next_merge = next_line;
    s->merge_ctx = hf;
    if ((rc = weir_pretok_new(qwen ? "qwen2" : "gpt-2", 5, &s->pretok, err)))
        return rc;
    if (qwen || side->add_prefix_space) {
        if ((rc = weir_norm_new(&s->norm, err)) ||
            (qwen && (rc = weir_norm_add(s->norm, &nfc, err))) ||
            (side->add_prefix_space && (rc = weir_norm_add(s->norm, &space, err))))
            return rc;
    }
    return tok_side_apply(side, s, err);
}
