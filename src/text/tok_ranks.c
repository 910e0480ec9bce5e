/* SPDX-License-Identifier: MIT
 *
 * Owns reading tiktoken's files of ranks: a line for each token, "base64 rank".  The files do not
 * say how text is split nor which special tokens follow; both go with the vocabulary, which its
 * size tells apart.  The reference is the tiktoken library with the pattern of each model.
 *
 * One thread. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Vocabularies: how many ranks, the name of the splitting in pretok_names.c, and the special tokens
 * that come behind, as runs of "%u" names. */
static const struct family {
    uint32_t n_rank;
    const char *name, *pre;
    bool nfc, bos;
    const char *bos_text, *eos_text;
    struct {
        const char *format;
        uint16_t first, n;
    } special[20];
} families[] = {
    { 128000,
      "llama3",
      "llama-bpe",
      false,
      true,
      "<|begin_of_text|>",
      "<|end_of_text|>",
      { { "<|begin_of_text|>", 0, 1 },
        { "<|end_of_text|>", 0, 1 },
        { "<|reserved_special_token_%u|>", 0, 2 },
        { "<|finetune_right_pad_id|>", 0, 1 },
        { "<|reserved_special_token_%u|>", 2, 1 },
        { "<|start_header_id|>", 0, 1 },
        { "<|end_header_id|>", 0, 1 },
        { "<|eom_id|>", 0, 1 },
        { "<|eot_id|>", 0, 1 },
        { "<|python_tag|>", 0, 1 },
        { "<|reserved_special_token_%u|>", 3, 245 } } },
    { 151643,
      "qwen",
      "qwen2",
      true,
      false,
      "",
      "<|endoftext|>",
      { { "<|endoftext|>", 0, 1 },
        { "<|im_start|>", 0, 1 },
        { "<|im_end|>", 0, 1 },
        { "<|extra_%u|>", 0, 205 } } },
    { 151329,
      "glm4",
      "glm4",
      false,
      false,
      "",
      "<|endoftext|>",
      { { "<|endoftext|>", 0, 1 },
        { "[MASK]", 0, 1 },
        { "[gMASK]", 0, 1 },
        { "[sMASK]", 0, 1 },
        { "<sop>", 0, 1 },
        { "<eop>", 0, 1 },
        { "<|system|>", 0, 1 },
        { "<|user|>", 0, 1 },
        { "<|assistant|>", 0, 1 },
        { "<|observation|>", 0, 1 },
        { "<|begin_of_image|>", 0, 1 },
        { "<|end_of_image|>", 0, 1 },
        { "<|begin_of_video|>", 0, 1 },
        { "<|end_of_video|>", 0, 1 } } },
    { 50256, "gpt2", "gpt-2", false, false, "", "<|endoftext|>", { { "<|endoftext|>", 0, 1 } } },
    { 100256,
      "cl100k",
      "llama-bpe",
      false,
      false,
      "",
      "<|endoftext|>",
      { { "", 0, 1 },
        { "<|endoftext|>", 0, 1 },
        { "<|fim_prefix|>", 0, 1 },
        { "<|fim_middle|>", 0, 1 },
        { "<|fim_suffix|>", 0, 1 } } },
    { 199998,
      "o200k",
      "gpt-4o",
      false,
      false,
      "",
      "<|endoftext|>",
      { { "", 0, 1 }, { "<|endoftext|>", 0, 1 } } },
};

int64_t tok_base64(const char *p, size_t n, uint8_t *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, n_bit = 0;
    size_t m = 0, pad = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '=') {
            pad++;
            continue;
        }
        const char *c = p[i] && !pad ? strchr(alphabet, p[i]) : NULL;
        if (!c)
            return -1;
        bits = bits << 6 | (uint32_t)(c - alphabet);
        n_bit += 6;
        if (n_bit >= 8) {
            n_bit -= 8;
            out[m++] = (uint8_t)(bits >> n_bit);
        }
    }
    return n % 4 || pad > 2 ? -1 : (int64_t)m;
}

/* Read the lines into S; texts go to BUFFER, which has room for the whole file. */
static int read_lines(const char *name, const char *text, size_t n, struct tok_source *s,
                      uint8_t *buffer, struct weir_err *err)
{
    uint32_t line = 0;
    for (size_t at = 0; at < n;) {
        const char *p = text + at, *nl = memchr(p, '\n', n - at);
        const size_t len = nl ? (size_t)(nl - p) : n - at;
        const char *gap = memchr(p, ' ', len);
        uint64_t rank = 0;
        size_t i = gap ? (size_t)(gap - p) + 1 : len, digits = 0;
        at += len + 1;
        line++;
        if (!len || (len == 1 && *p == '\r'))
            continue;
        for (; i < len && p[i] >= '0' && p[i] <= '9' && digits < 9; i++, digits++)
            rank = 10 * rank + (uint64_t)(p[i] - '0');
        const int64_t m = gap ? tok_base64(p, (size_t)(gap - p), buffer) : -1;
        if (m <= 0 || !digits || (i < len && p[i] != '\r') || rank >= TOK_MAX_VOCAB)
            return weir_fail(err, -EINVAL, "%s is no list of ranks: line %u is wrong", name, line);
        /* The array doubles: lines come in order. */
        if (rank >= s->n_vocab) {
            const uint32_t want = rank < 1024 ? 1024 : (uint32_t)rank + (uint32_t)rank / 2;
            const int rc = tok_source_grow(s, want < TOK_MAX_VOCAB ? want : TOK_MAX_VOCAB, err);
            if (rc)
                return rc;
        }
        tok_source_set(s, (uint32_t)rank, buffer, (size_t)m, WEIR_TOK_NORMAL);
        s->entry[rank].plain = true;
        buffer += m;
    }
    while (s->n_vocab && !s->entry[s->n_vocab - 1].n)
        s->n_vocab--;
    return s->n_vocab ? 0 : weir_fail(err, -EINVAL, "%s is no list of ranks", name);
}

static int add_special(struct tok_source *s, const struct family *f, struct weir_err *err)
{
    enum { WIDTH = 40 };
    uint32_t n = 0;
    for (unsigned i = 0; i < 20 && f->special[i].format; i++)
        n += f->special[i].n;
    uint32_t id = s->n_vocab;
    const int rc = tok_source_grow(s, id + n, err);
    if (rc)
        return rc;
    char *text = s->own = weir_alloc(WEIR_MEM_TEXT, n, WIDTH);
    if (!text)
        return weir_fail(err, -ENOMEM, "no memory for %u special tokens", n);
    for (unsigned i = 0; i < 20 && f->special[i].format; i++)
        for (uint32_t k = 0; k < f->special[i].n; k++, id++, text += WIDTH) {
            /* Formats are those of the table above. */
            const char *number = strstr(f->special[i].format, "%u");
            if (number)
                snprintf(text, WIDTH, "%.*s%u%s", (int)(number - f->special[i].format),
                         f->special[i].format, f->special[i].first + k, number + 2);
            else
                snprintf(text, WIDTH, "%s", f->special[i].format);
            tok_source_set(s, id, text, strlen(text), WEIR_TOK_CONTROL);
        }
    return 0;
}

int tok_read_tiktoken(const char *name, const char *text, size_t n, const struct tok_side *side,
                      struct tok_source *s, char **ret_buffer, struct weir_err *err)
{
    const struct weir_norm_step nfc = { .op = WEIR_NORM_NFC };
    const struct family *f = NULL;
    *ret_buffer = weir_alloc(WEIR_MEM_TEXT, n + 1, 1);
    if (!*ret_buffer)
        return weir_fail(err, -ENOMEM, "no memory for the %zu bytes of %s", n, name);
    int rc = read_lines(name, text, n, s, (uint8_t *)*ret_buffer, err);
    if (rc)
        return rc;
    for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (families[i].n_rank == s->n_vocab)
            f = &families[i];
    if (!f)
        return weir_fail(err, -ENOTSUP,
                         "%s has %u ranks, a vocabulary whose way to split text this program does "
                         "not know; a tokenizer.json beside it would say it",
                         name, s->n_vocab);
    s->kind = TOK_RANK;
    s->spelling = TOK_SPELL_PLAIN;
    s->ignore_merges = true;
    snprintf(s->kind_name, sizeof(s->kind_name), "tiktoken (%s)", f->name);
    if ((rc = add_special(s, f, err)) ||
        (rc = weir_pretok_new(f->pre, strlen(f->pre), &s->pretok, err)))
        return rc;
    if (f->nfc && ((rc = weir_norm_new(&s->norm, err)) || (rc = weir_norm_add(s->norm, &nfc, err))))
        return rc;
    s->bos = tok_source_find(s, f->bos_text, strlen(f->bos_text));
    s->eos = tok_source_find(s, f->eos_text, strlen(f->eos_text));
    s->add_bos = f->bos;
    return tok_side_apply(side, s, err);
}
