/* SPDX-License-Identifier: MIT
 *
 * Owns reading llama2.c's tokenizer.bin: the pieces and scores of a sentencepiece model, as that
 * program's export writes them (U+2581 as a space, "<s>" and "</s>" between newlines).  Turned back
 * into what they were, so that the text becomes the same tokens as with the model itself.
 *
 * One thread. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/cur.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEAD_BYTES  4 /* the length of the longest piece */
#define ENTRY_BYTES 8 /* before the bytes of a piece: score, length */

struct piece {
    float score;
    uint32_t n;
    const uint8_t *text;
};

static bool next_piece(struct weir_cur *c, struct piece *p)
{
    p->score = weir_cur_f32(c);
    p->n = weir_cur_u32(c);
    p->text = weir_cur_take(c, p->n);
    return p->text && p->n <= TOK_MAX_PIECE / 3;
}

/* How many pieces there are, and bytes their texts take with three for every space. */
static bool count_pieces(struct weir_cur c, uint32_t *ret_n, size_t *ret_bytes)
{
    struct piece p;
    uint32_t n = 0;
    size_t bytes = 0;
    while (weir_cur_left(&c)) {
        if (n == TOK_MAX_VOCAB || !next_piece(&c, &p))
            return false;
        for (uint32_t i = 0; i < p.n; i++)
            bytes += p.text[i] == ' ' ? 3 : 1;
        n++;
    }
    *ret_n = n;
    *ret_bytes = bytes;
    return n > 3;
}

static uint8_t attr_of(uint32_t id, const uint8_t *text, size_t n)
{
    if (id < 3)
        return id ? WEIR_TOK_CONTROL : WEIR_TOK_UNKNOWN;
    return n == 6 && !memcmp(text, "<0x", 3) && text[5] == '>' ? WEIR_TOK_BYTE : WEIR_TOK_NORMAL;
}

static void add_piece(struct tok_source *s, uint32_t id, const struct piece *p, char **at)
{
    static const char *const marks[] = { "<unk>", "<s>", "</s>" };
    char *text = *at;
    if (id < 3) {
        tok_source_set(s, id, marks[id], strlen(marks[id]), attr_of(id, NULL, 0));
        return;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->text[i] == ' ') {
            memcpy(*at, "\xe2\x96\x81", 3);
            *at += 3;
        } else {
            *(*at)++ = (char)p->text[i];
        }
    }
    const size_t n = (size_t)(*at - text);
    tok_source_set(s, id, text, n, attr_of(id, p->text, p->n));
    s->entry[id].score = p->score;
}

int tok_read_llama2c(const char *name, const void *text, size_t n, struct tok_source *s,
                     struct weir_err *err)
{
    struct weir_cur c = weir_cur_of(text, n);
    const struct weir_norm_step step = { .op = WEIR_NORM_SENTENCEPIECE, .y = true };
    struct piece p;
    uint32_t n_piece = 0;
    size_t bytes = 0;
    weir_cur_take(&c, HEAD_BYTES);
    if (c.bad || !count_pieces(c, &n_piece, &bytes))
        return weir_fail(err, -EINVAL,
                         "%s is no tokenizer of llama2.c: its %zu bytes are not whole pieces", name,
                         n);
    int rc = tok_source_grow(s, n_piece, err);
    if (rc)
        return rc;
    char *at = s->own = weir_alloc(WEIR_MEM_TEXT, bytes + 1, 1);
    if (!at)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", n_piece);
    for (uint32_t id = 0; id < n_piece && next_piece(&c, &p); id++)
        add_piece(s, id, &p, &at);
    s->kind = TOK_SPM;
    s->spelling = TOK_SPELL_2581;
    s->unk = 0;
    s->bos = 1;
    s->eos = 2;
    s->chars = s->freezes = s->fuse_unk = s->byte_fallback = s->add_space = s->add_bos = true;
    snprintf(s->kind_name, sizeof(s->kind_name), "sentencepiece-bpe (llama2.c)");
    rc = weir_norm_new(&s->norm, err);
    return rc ? rc : weir_norm_add(s->norm, &step, err);
}
