/* SPDX-License-Identifier: MIT
 * Owns the way from a conversation to the tokens of a turn, and what is left out when they do not
 * fit.  Engine thread. */
#include "config.h"

#include "src/run/dialog.h"

#include "base/mem.h"
#include "src/run/form.h"
#include "src/text/think.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void weir_dialog_done(struct weir_dialog *d) { weir_talk_done(&d->talk); }

void weir_turn_done(struct weir_turn *t)
{
    weir_free(t->ids);
    *t = (struct weir_turn){ 0 };
}

static int render(const struct weir_dialog *d, size_t n_left_out, struct weir_jinja_out *ret,
                  struct weir_err *err)
{
    struct weir_chat c = { 0 };
    struct tm now;
    const time_t clock = time(NULL);
    struct weir_jinja_opts o = { .bytes_max = WEIR_DIALOG_BYTES * 3 / 4,
                                 .output_max = WEIR_DIALOG_BYTES / 8 };
    o.now = localtime_r(&clock, &now);
    int r = weir_chat_init(&c, &o, err);
    c.fold_system = true;
    if (r == 0)
        r = weir_talk_fill(&d->talk, weir_talk_head(&d->talk), n_left_out, &c, err);
    if (r == 0 && d->no_thinking)
        r = weir_chat_set_json(&c, "enable_thinking", "false", 5, err);
    if (r == 0)
        r = weir_form_tokens(&c, d->session->engine->tok, err);
    if (r == 0)
        r = weir_chat_render(&c, d->form->text, d->form->n, ret, err);
    weir_chat_done(&c);
    return r;
}

/* Does the text begin with the model's BOS, so that the tokenizer need not put one? */
static bool has_bos(const struct weir_tok *tok, const struct weir_jinja_out *text)
{
    const uint32_t bos = weir_tok_bos(tok);
    size_t n = 0;
    const char *piece = bos == WEIR_TOK_NONE ? NULL : weir_tok_piece(tok, bos, true, &n);
    return n && n <= text->n && !memcmp(piece, text->text, n);
}

static int encode(const struct weir_tok *tok, const struct weir_jinja_out *text,
                  struct weir_turn *t, struct weir_err *err)
{
    const unsigned flags = WEIR_TOK_PARSE_SPECIAL | (has_bos(tok, text) ? 0 : WEIR_TOK_ADD_BOS);
    struct weir_tok_ids ids = { 0 };
    struct weir_tok_range *plain = weir_alloc(WEIR_MEM_TEXT, text->n_said + 1, sizeof(*plain));
    if (!plain)
        return weir_fail(err, -ENOMEM, "no memory for a turn");
    for (size_t i = 0; i < text->n_said; i++)
        plain[i] =
            (struct weir_tok_range){ (uint32_t)text->said[i].start, (uint32_t)text->said[i].end };
    int r = weir_tok_encode_parts(tok, text->text, text->n, flags, plain, text->n_said, &ids, err);
    weir_free(plain);
    /* An EOS that the tokenizer put behind the text would end the answer before it begins. */
    if (r == 0 && ids.n && ids.v[ids.n - 1].id == weir_tok_eos(tok) &&
        ids.v[ids.n - 1].start == ids.v[ids.n - 1].end)
        ids.n--;
    if (r == 0 && !ids.n)
        r = weir_fail(err, -EINVAL, "the template makes nothing of this conversation");
    if (r == 0) {
        t->n = (uint32_t)ids.n;
        t->ids = weir_alloc(WEIR_MEM_TEXT, ids.n, sizeof(*t->ids));
        if (!t->ids)
            r = weir_fail(err, -ENOMEM, "no memory for %zu tokens", ids.n);
    }
    for (size_t i = 0; r == 0 && i < ids.n; i++)
        t->ids[i] = ids.v[i].id;
    weir_tok_ids_done(&ids);
    return r;
}

/* The turn without the first N_LEFT_OUT messages. */
static int make(const struct weir_dialog *d, size_t n_left_out, struct weir_turn *t,
                struct weir_err *err)
{
    struct weir_jinja_out text = { 0 };
    weir_turn_done(t);
    int r = render(d, n_left_out, &text, err);
    if (r < 0)
        return r;
    t->thought = weir_think_begun(text.text, text.n);
    r = encode(d->session->engine->tok, &text, t, err);
    weir_jinja_out_done(&text);
    return r;
}

/* The next turn behind the first OUT messages that may leave: more than OUT, or OUT: there is none.
 */
static size_t leave_turn(const struct weir_dialog *d, size_t out)
{
    const size_t head = weir_talk_head(&d->talk), last = weir_talk_last(&d->talk, "user");
    const size_t next = weir_talk_next(&d->talk, "user", head + out + 1);
    return last == SIZE_MAX || next > last || next == d->talk.n ? out : next - head;
}

int weir_dialog_turn(struct weir_dialog *d, uint32_t reserve, struct weir_turn *ret,
                     struct weir_err *err)
{
    const uint64_t ctx = d->session->kv.ctx;
    size_t out = d->n_left_out;
    uint64_t most = ctx;
    struct weir_turn t = { 0 };
    if (reserve > ctx / 4)
        reserve = (uint32_t)(ctx / 4);
    for (;;) {
        const int r = make(d, out, &t, err);
        if (r < 0) {
            weir_turn_done(&t);
            return r;
        }
        if (t.n + (uint64_t)reserve <= most)
            break;
        most = ctx - ctx / 4;
        const size_t next = leave_turn(d, out);
        if (next == out)
            break;
        out = next;
    }
    if (t.n >= ctx) {
        const uint32_t n = t.n;
        weir_turn_done(&t);
        return weir_fail(err, -ENOSPC,
                         "the message makes %u tokens, more than the context of %llu; make it "
                         "larger with --ctx",
                         n, (unsigned long long)ctx);
    }
    t.n_left_out = out - d->n_left_out;
    t.n_kept = weir_session_keep(d->session, t.ids, t.n);
    d->n_left_out = out;
    *ret = t;
    return 0;
}

int weir_dialog_go_on(struct weir_dialog *d, const uint32_t *answer, uint32_t n, uint32_t last,
                      struct weir_turn *ret, struct weir_err *err)
{
    const uint64_t ctx = d->session->kv.ctx, n_answer = (uint64_t)n + 1;
    size_t out = d->n_left_out;
    struct weir_turn t = { 0 };
    int r = 0;
    do {
        const size_t next = leave_turn(d, out);
        if (next == out)
            break;
        out = next;
        r = make(d, out, &t, err);
    } while (r == 0 && t.n + n_answer > ctx - ctx / 4);
    if (r == 0 && (out == d->n_left_out || t.n + n_answer >= ctx)) {
        weir_turn_done(&t);
        return 0;
    }
    uint32_t *ids = r < 0 ? NULL : weir_grow(WEIR_MEM_TEXT, t.ids, t.n + n_answer, sizeof(*ids));
    if (!ids) {
        weir_turn_done(&t);
        return r < 0 ? r : weir_fail(err, -ENOMEM, "no memory for a turn");
    }
    t.ids = ids;
    memcpy(ids + t.n, answer, n * sizeof(*ids));
    t.n += (uint32_t)n_answer;
    ids[t.n - 1] = last;
    t.n_left_out = out - d->n_left_out;
    t.n_kept = weir_session_keep(d->session, t.ids, t.n);
    d->n_left_out = out;
    *ret = t;
    return 1;
}
