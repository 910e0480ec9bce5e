/* SPDX-License-Identifier: MIT
 *
 * Owns reading sentencepiece's tokenizer.model (a protocol buffer, sentencepiece_model.proto), and
 * what the code of the ChatGLM family adds to its own.  The reference is the sentencepiece library.
 *
 * One thread. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"
#include "base/pb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { UNIGRAM = 1, BPE = 2, WORD = 3, CHARS = 4 }; /* TrainerSpec.model_type */

struct model {
    uint64_t type;
    bool byte_fallback, suffix, dummy_prefix, shrink, escape;
    const uint8_t *charsmap;
    uint64_t n_charsmap;
};

/* Names of fields are those of the .proto file. */
static bool read_piece(struct weir_cur c, struct tok_entry *e)
{
    struct weir_pb_field f;
    e->attr = WEIR_TOK_NORMAL;
    while (weir_pb_next(&c, &f)) {
        if (f.number == 1 && f.type == WEIR_PB_BYTES) { /* piece */
            e->text = f.bytes;
            e->n = f.n > TOK_MAX_PIECE ? TOK_MAX_PIECE + 1 : (uint32_t)f.n;
        } else if (f.number == 2 && f.type == WEIR_PB_FIXED32) { /* score */
            const uint32_t bits = (uint32_t)f.value;
            float v;
            memcpy(&v, &bits, sizeof(v));
            e->score = v;
        } else if (f.number == 3 && f.type == WEIR_PB_VARINT && f.value >= 1 && f.value <= 6) {
            e->attr = (uint8_t)f.value; /* type: numbered as tokenizer.ggml.token_type is */
        }
    }
    return !c.bad;
}

static bool read_trainer(struct weir_cur c, struct model *m, struct tok_source *s)
{
    struct weir_pb_field f;
    while (weir_pb_next(&c, &f)) {
        if (f.type != WEIR_PB_VARINT)
            continue;
        const uint32_t id = f.value < TOK_MAX_VOCAB ? (uint32_t)f.value : WEIR_TOK_NONE;
        if (f.number == 3)
            m->type = f.value;
        else if (f.number == 24) /* treat_whitespace_as_suffix */
            m->suffix = f.value != 0;
        else if (f.number == 35)
            m->byte_fallback = f.value != 0;
        else if (f.number == 40)
            s->unk = id;
        else if (f.number == 41)
            s->bos = id;
        else if (f.number == 42)
            s->eos = id;
    }
    return !c.bad;
}

static bool read_normalizer(struct weir_cur c, struct model *m)
{
    struct weir_pb_field f;
    while (weir_pb_next(&c, &f)) {
        if (f.number == 2 && f.type == WEIR_PB_BYTES) {
            m->charsmap = f.bytes;
            m->n_charsmap = f.n;
        } else if (f.number == 3 && f.type == WEIR_PB_VARINT) {
            m->dummy_prefix = f.value != 0;
        } else if (f.number == 4 && f.type == WEIR_PB_VARINT) {
            m->shrink = f.value != 0; /* remove_extra_whitespaces */
        } else if (f.number == 5 && f.type == WEIR_PB_VARINT) {
            m->escape = f.value != 0;
        }
    }
    return !c.bad;
}

static int read_model(struct weir_cur c, struct model *m, struct tok_source *s,
                      struct weir_err *err)
{
    struct weir_pb_field f;
    struct weir_cur count = c;
    uint32_t n = 0;
    while (weir_pb_next(&count, &f))
        n += f.number == 1 && f.type == WEIR_PB_BYTES && n < TOK_MAX_VOCAB;
    if (count.bad || !n)
        return weir_fail(err, -EINVAL,
                         "tokenizer.model is damaged: no sentencepiece model (at byte %llu)",
                         (unsigned long long)count.pos);
    s->entry = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*s->entry));
    if (!s->entry)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", n);
    s->unk = 0;
    s->bos = 1;
    s->eos = 2;
    bool good = true;
    while (good && weir_pb_next(&c, &f)) {
        if (f.type != WEIR_PB_BYTES)
            continue;
        const struct weir_cur in = weir_cur_of(f.bytes, f.n);
        if (f.number == 1 && s->n_vocab < n)
            good = read_piece(in, &s->entry[s->n_vocab++]);
        else if (f.number == 2)
            good = read_trainer(in, m, s);
        else if (f.number == 3)
            good = read_normalizer(in, m);
    }
    return good ? 0
                : weir_fail(err, -EINVAL, "tokenizer.model is damaged after piece %u", s->n_vocab);
}

/* ---- ChatGLM ---- */

/* Special tokens that ChatGLM2 and 3 append, in their order. */
static const char *const glm2_extra[] = { "[MASK]",   "[gMASK]",       "[sMASK]",
                                          "sop",      "eop",           "<|system|>",
                                          "<|user|>", "<|assistant|>", "<|observation|>" };

static int chatglm2(struct tok_source *s, struct weir_err *err)
{
    const uint32_t first = s->n_vocab, n = sizeof(glm2_extra) / sizeof(glm2_extra[0]);
    const int rc = tok_source_grow(s, first + n, err);
    for (uint32_t i = 0; !rc && i < n; i++)
        tok_source_set(s, first + i, glm2_extra[i], strlen(glm2_extra[i]), WEIR_TOK_CONTROL);
    if (rc)
        return rc;
    s->prefix[0] = first + 1;
    s->prefix[1] = first + 3;
    s->n_prefix = 2;
    s->add_bos = false;
    s->end[s->n_end++] = first + 6; /* <|user|> */
    s->end[s->n_end++] = first + 8; /* <|observation|> */
    return 0;
}

/* The first release of ChatGLM-6B appends these in code to the pieces of its file; later ones have
 * them in the file: 8 special ones, the tab, 79 runs of spaces, 256 bytes. */
static int append_glm1(struct tok_source *s, struct weir_err *err)
{
    static const char *const first[] = { "[MASK]", "[gMASK]", "[sMASK]", "<unused_0>",
                                         "<sop>",  "<eop>",   "<ENC>",   "<dBLOCK>" };
    enum { N_FIRST = 8, N_BLANK = 79, WIDTH = 16 };
    const uint32_t at = s->n_vocab;
    const int rc = tok_source_grow(s, at + N_FIRST + 1 + N_BLANK + 256, err);
    if (rc)
        return rc;
    s->own = weir_alloc(WEIR_MEM_TEXT, N_BLANK + 256, WIDTH);
    if (!s->own)
        return weir_fail(err, -ENOMEM, "no memory for the pieces of ChatGLM");
    for (uint32_t i = 0; i < N_FIRST; i++)
        tok_source_set(s, at + i, first[i], strlen(first[i]), WEIR_TOK_CONTROL);
    tok_source_set(s, at + N_FIRST, "<|tab|>", 7, WEIR_TOK_USER_DEFINED);
    for (uint32_t i = 0; i < N_BLANK + 256; i++) {
        char *text = s->own + (size_t)WIDTH * i;
        const bool blank = i < N_BLANK;
        const int n = blank ? snprintf(text, WIDTH, "<|blank_%u|>", i + 2)
                            : snprintf(text, WIDTH, "<0x%02X>", i - N_BLANK);
        tok_source_set(s, at + N_FIRST + 1 + i, text, (size_t)n,
                       blank ? WEIR_TOK_USER_DEFINED : WEIR_TOK_BYTE);
    }
    return 0;
}

/* Ids are moved up by the image tokens of the first release; blanks are shown as what they stand
 * for.  A prompt ends in [gMASK] <sop>. */
static int chatglm1(struct tok_source *s, const struct tok_side *side, struct weir_err *err)
{
    const bool first = tok_source_find(s, "<|blank_80|>", 12) == WEIR_TOK_NONE;
    const uint32_t shift = side->n_image_tokens != WEIR_TOK_NONE ? side->n_image_tokens
                           : first                               ? 20000
                                                                 : 0;
    if (first) {
        const int rc = append_glm1(s, err);
        if (rc)
            return rc;
    }
    if (shift) {
        const uint32_t n = s->n_vocab;
        const int rc = tok_source_grow(s, n + shift, err);
        if (rc)
            return rc;
        memmove(s->entry + shift, s->entry, n * sizeof(*s->entry));
        memset(s->entry, 0, shift * sizeof(*s->entry));
        for (uint32_t id = 0; id < shift; id++)
            s->entry[id].attr = WEIR_TOK_UNUSED;
        s->unk += shift;
    }
    s->glm_blanks = true;
    s->add_bos = false;
    s->bos = tok_source_find(s, "<sop>", 5);
    s->eos = tok_source_find(s, "<eop>", 5);
    s->suffix[0] = tok_source_find(s, "[gMASK]", 7);
    s->suffix[1] = s->bos;
    s->n_suffix = 2;
    return 0;
}

/* ---- */

static int make_norm(const struct model *m, bool glm, struct tok_source *s, struct weir_err *err)
{
    const struct weir_norm_step blanks = { .op = WEIR_NORM_CHATGLM };
    const struct weir_norm_step step = { .op = WEIR_NORM_SENTENCEPIECE,
                                         .a = (const char *)m->charsmap,
                                         .n_a = (size_t)m->n_charsmap,
                                         .x = m->shrink,
                                         .y = m->dummy_prefix,
                                         .z = m->suffix };
    int rc = weir_norm_new(&s->norm, err);
    if (!rc && glm)
        rc = weir_norm_add(s->norm, &blanks, err);
    return rc ? rc : weir_norm_add(s->norm, &step, err);
}

int tok_read_sentencepiece(const void *text, size_t n, const struct tok_side *side,
                           struct tok_source *s, struct weir_err *err)
{
    struct model m = { .type = UNIGRAM, .dummy_prefix = true, .shrink = true, .escape = true };
    int rc = read_model(weir_cur_of(text, n), &m, s, err);
    if (rc)
        return rc;
    if (m.type != UNIGRAM && m.type != BPE)
        return weir_fail(err, -ENOTSUP,
                         "tokenizer.model is of the kind '%s'; this program knows unigram and BPE",
                         m.type == WORD    ? "word"
                         : m.type == CHARS ? "char"
                                           : "?");
    if (!m.escape)
        return weir_fail(err, -ENOTSUP, "tokenizer.model does not write spaces as U+2581");
    for (uint32_t id = 0; id < s->n_vocab; id++) /* as the library does since 2025 */
        if (m.byte_fallback && s->entry[id].n == 1 && !s->entry[id].text[0])
            s->entry[id].attr = WEIR_TOK_UNUSED;
    s->kind = m.type == BPE ? TOK_SPM : TOK_UNIGRAM;
    s->spelling = TOK_SPELL_2581;
    s->chars = s->freezes = s->fuse_unk = s->float_sums = true;
    s->byte_fallback = m.byte_fallback;
    s->add_space = m.dummy_prefix && !m.suffix;
    s->add_bos = strcmp(side->cls, "BaichuanTokenizer") != 0;
    snprintf(s->kind_name, sizeof(s->kind_name),
             m.type == BPE ? "sentencepiece-bpe" : "sentencepiece-unigram");
    const bool glm1 =
        m.type == UNIGRAM && tok_source_find(s, "<n>", 3) != WEIR_TOK_NONE &&
        (s->n_vocab == 130000 || tok_source_find(s, "<|blank_80|>", 12) != WEIR_TOK_NONE);
    const bool glm2 =
        !glm1 && (!strcmp(side->cls, "ChatGLMTokenizer") || !strcmp(side->model_type, "chatglm"));
    rc = glm1 ? chatglm1(s, side, err) : 0;
    for (uint32_t id = 0; id < s->n_vocab; id++)
        if (s->entry[id].attr == WEIR_TOK_USER_DEFINED)
            s->entry[id].stage = TOK_NORMALIZED;
    if (!rc && glm2)
        rc = chatglm2(s, err);
    if (!rc && !glm1 && !glm2)
        rc = tok_side_apply(side, s, err);
    return rc ? rc : make_norm(&m, glm1, s, err);
}
