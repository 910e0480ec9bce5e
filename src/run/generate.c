/* SPDX-License-Identifier: MIT
 * Owns the order of evaluate, sample and show, and the reasons to stop.  Engine thread. */
#include "config.h"

#include "src/run/generate.h"

#include "base/clock.h"
#include "src/text/stream.h"

#include <errno.h>

static bool interrupted(const struct weir_gen_opts *o)
{
    return o->interrupted && atomic_load_explicit(o->interrupted, memory_order_relaxed);
}

/* -EINTR leaves the evaluation between two chunks; it is turned back into an ending, not an error.
 */
static int on_chunk(void *arg, uint32_t n_done, const float *rows, uint32_t n_row)
{
    const struct weir_gen_opts *o = arg;
    if (o->on_prefill)
        o->on_prefill(o->arg, n_done, o->n_prompt - o->n_kept);
    if (n_row && o->on_logits) {
        const int r = o->on_logits(o->arg, rows, n_row);
        if (r < 0)
            return r;
    }
    return interrupted(o) && n_done < o->n_prompt - o->n_kept ? -EINTR : 0;
}

/* Passes from now to the end, when that is known: the prefetcher then reads nothing for nobody. */
static void announce_end(const struct weir_session *s, const struct weir_gen_opts *o,
                         uint32_t n_new, uint32_t n_gen)
{
    struct weir_engine *e = s->engine;
    const uint64_t chunks = (n_new + e->plan.chunk - 1) / e->plan.chunk;
    const uint64_t room = s->kv.ctx - s->pos > n_new ? s->kv.ctx - s->pos - n_new : 0;
    uint64_t more = o->n_predict > n_gen ? (uint64_t)o->n_predict - n_gen - 1 : 0;
    if (o->n_predict < 0 || more > room)
        more = room;
    weir_engine_set_last_pass(e, e->n_pass + chunks + more);
}

static int show(const struct weir_gen_opts *o, const char *text, size_t n)
{
    return n && o->on_text ? o->on_text(o->arg, text, n) : 0;
}

/* What is read again in the midst of an answer. */
struct again {
    const struct weir_gen_opts *o;
    uint32_t n;
};

static int on_again(void *arg, uint32_t n_done, const float *rows, uint32_t n_row)
{
    const struct again *a = arg;
    (void)rows, (void)n_row;
    if (a->o->on_prefill)
        a->o->on_prefill(a->o->arg, n_done, a->n);
    return interrupted(a->o) ? -EINTR : 0;
}

/* Evaluate TOKEN, for which the context has no room.  1 with *LOGITS; 0: it ends here. */
static int make_room(struct weir_session *s, const struct weir_gen_opts *o, uint32_t token,
                     float **logits, struct weir_gen_result *res, struct weir_err *err)
{
    struct weir_gen_room room = { 0 };
    int r = o->on_full ? o->on_full(o->arg, token, &room, err) : 0;
    if (r <= 0) {
        res->end = WEIR_END_CONTEXT;
        return r;
    }
    const uint32_t n = room.n - room.n_kept;
    announce_end(s, o, n, res->n_gen);
    res->n_again += n - 1;
    r = weir_session_eval(s, room.ids + room.n_kept, n, WEIR_LOGITS_LAST, on_again,
                          &(struct again){ o, n }, logits, err);
    if (r == -EINTR)
        res->end = WEIR_END_INTERRUPT;
    return r == -EINTR ? 0 : r < 0 ? r : 1;
}

static int decode(struct weir_session *s, const struct weir_gen_opts *o, struct weir_stream *stream,
                  float *logits, struct weir_gen_result *res, struct weir_err *err)
{
    struct weir_engine *e = s->engine;
    const char *text;
    size_t n;
    struct weir_meter before, after;
    weir_engine_meter(e, &before);
    for (;;) {
        if (interrupted(o)) {
            res->end = WEIR_END_INTERRUPT;
            return 0;
        }
        if (o->n_predict >= 0 && res->n_gen >= (uint64_t)o->n_predict) {
            res->end = WEIR_END_LENGTH;
            return 0;
        }
        if (o->constrain) {
            if (weir_constrain_ended(o->constrain)) {
                res->end = WEIR_END_GRAMMAR;
                return 0;
            }
            const int r = weir_constrain_mask(o->constrain, logits, e->model.cfg.n_vocab, err);
            if (r < 0)
                return r;
        }
        const uint32_t token = weir_sampler_pick(o->sampler, logits);
        weir_sampler_accept(o->sampler, token);
        if (o->constrain) {
            const int r = weir_constrain_accept(o->constrain, token, err);
            if (r < 0)
                return r;
        }
        res->n_gen++;
        if (e->tok && (!o->ignore_eos || o->constrain) && weir_tok_is_end(e->tok, token)) {
            res->end = WEIR_END_EOS;
            return 0;
        }
        if (e->tok) {
            int r = weir_stream_push(stream, token, &text, &n);
            if (r == 0)
                r = show(o, text, n);
            if (r < 0)
                return r;
            if (stream->stopped) {
                res->end = WEIR_END_STOP;
                return 0;
            }
        }
        if (o->n_predict >= 0 && res->n_gen >= (uint64_t)o->n_predict) {
            res->end = WEIR_END_LENGTH;
            return 0;
        }
        if (o->constrain && weir_constrain_ended(o->constrain)) {
            res->end = WEIR_END_GRAMMAR;
            return 0;
        }
        if (s->pos == s->kv.ctx) {
            const int r = make_room(s, o, token, &logits, res, err);
            if (r <= 0)
                return r;
        } else {
            const int r =
                weir_session_eval(s, &token, 1, WEIR_LOGITS_LAST, NULL, NULL, &logits, err);
            if (r < 0)
                return r;
        }
        res->n_gen_pass++;
        weir_engine_meter(e, &after);
        if (o->on_tick) {
            const struct weir_gen_tick t = { res->n_gen_pass, weir_meter_diff(&before, &after) };
            o->on_tick(o->arg, &t);
        }
        before = after;
    }
}

int weir_generate(struct weir_session *s, const struct weir_gen_opts *o,
                  struct weir_gen_result *ret, struct weir_err *err)
{
    struct weir_engine *e = s->engine;
    struct weir_stream stream;
    struct weir_gen_result res = { .end = WEIR_END_LENGTH };
    struct weir_meter m0, m1, m2;
    float *logits = NULL;
    const char *text;
    size_t n;
    weir_engine_meter(e, &m0);
    /* Before the first pass the clock starts with the disk: waiting for weights is part of the
     * prompt. */
    if (e->n_pass == 0)
        m0 = (struct weir_meter){ 0 };
    announce_end(s, o, o->n_prompt - o->n_kept, 0);
    e->pass.stop = o->interrupted;
    const uint32_t pos0 = s->pos;
    int r = weir_session_eval(s, o->prompt + o->n_kept, o->n_prompt - o->n_kept,
                              o->on_logits ? WEIR_LOGITS_ALL : WEIR_LOGITS_LAST, on_chunk,
                              (void *)o, &logits, err);
    weir_engine_meter(e, &m1);
    res.n_prompt = s->pos - pos0;
    res.prompt = weir_meter_diff(&m0, &m1);
    res.prompt_s = (double)res.prompt.wall_ns / 1e9;
    if (r == -EINTR) {
        res.end = WEIR_END_INTERRUPT;
        r = 0;
    } else if (r == 0 && o->n_predict != 0) {
        for (uint32_t i = 0; i < o->n_prompt; i++)
            weir_sampler_accept(o->sampler, o->prompt[i]);
        weir_stream_init(&stream, e->tok, o->stops, o->n_stop, o->strip_space);
        r = decode(s, o, &stream, logits, &res, err);
        if (r == 0 && !weir_stream_flush(&stream, &text, &n))
            r = show(o, text, n);
        weir_stream_done(&stream);
    }
    e->pass.stop = NULL;
    weir_engine_meter(e, &m2);
    res.gen = weir_meter_diff(&m1, &m2);
    res.gen_s = (double)res.gen.wall_ns / 1e9;
    *ret = res;
    return r;
}
