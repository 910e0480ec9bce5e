/* SPDX-License-Identifier: MIT
 *
 * Owns reading the small JSON files beside a tokenizer, and applying them to what a loader found.
 * They are hostile: ids are bounded before anything is made as large as they say. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"
#include "base/outfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIDE_MAX_BYTES ((size_t)16 << 20)
#define MAX_HOLE       UINT32_C(100000) /* ids that no token has */

/* ---- JSON ---- */

int tok_json_open(const char *name, const char *text, size_t n, struct tok_json *ret,
                  struct weir_err *err)
{
    struct weir_jread r;
    weir_jread_init(&r, text, n);
    enum weir_json_event ev;
    do /* all of it is JSON, so that walks need not look */
        ev = weir_jread_next(&r);
    while (ev != WEIR_JSON_BAD && ev != WEIR_JSON_DONE);
    if (ev == WEIR_JSON_BAD)
        return weir_jread_fail(&r, name, err);
    weir_jread_init(&ret->r, text, n);
    ret->ev = weir_jread_next(&ret->r);
    ret->there = true;
    return 0;
}

bool tok_json_fields(const struct tok_json *object, const char *const *name, struct tok_json *ret,
                     unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ret[i] = (struct tok_json){ 0 };
    if (!object->there || object->ev != WEIR_JSON_OBJECT)
        return false;
    struct weir_jread r = object->r;
    enum weir_json_event ev;
    while ((ev = weir_jread_next(&r)) == WEIR_JSON_KEY) {
        unsigned i = 0;
        while (i < n && !weir_jread_is(&r, name[i]))
            i++;
        ev = weir_jread_next(&r);
        if (i < n)
            ret[i] = (struct tok_json){ .r = r, .ev = ev, .there = true };
        if (!weir_jread_skip(&r, ev))
            return false;
    }
    return ev == WEIR_JSON_OBJECT_END;
}

struct tok_json tok_json_field(const struct tok_json *object, const char *name)
{
    struct tok_json v;
    tok_json_fields(object, &name, &v, 1);
    return v;
}

bool tok_json_item(struct weir_jread *r, struct tok_json *ret)
{
    const enum weir_json_event ev = weir_jread_next(r);
    if (ev == WEIR_JSON_ARRAY_END || ev == WEIR_JSON_BAD || ev == WEIR_JSON_DONE)
        return false;
    *ret = (struct tok_json){ .r = *r, .ev = ev, .there = true };
    return weir_jread_skip(r, ev);
}

bool tok_json_is(const struct tok_json *v, const char *s)
{
    return v->there && v->ev == WEIR_JSON_STR && weir_jread_is(&v->r, s);
}

bool tok_json_true(const struct tok_json *v, bool fallback)
{
    return v->there && v->ev == WEIR_JSON_TRUE    ? true
           : v->there && v->ev == WEIR_JSON_FALSE ? false
                                                  : fallback;
}

bool tok_json_text(const struct tok_json *v, const uint8_t **ret, size_t *ret_n)
{
    if (!v->there || (v->ev != WEIR_JSON_STR && v->ev != WEIR_JSON_KEY))
        return false;
    *ret = v->r.raw;
    *ret_n = v->r.n;
    if (v->r.escaped) /* shorter than it was, so it fits where it was; the text is the loader's own
                       */
        *ret_n = weir_jread_text(&v->r, (uint8_t *)(uintptr_t)v->r.raw);
    return true;
}

bool tok_json_u32(const struct tok_json *v, uint32_t *ret)
{
    int64_t i;
    if (!v->there || v->ev != WEIR_JSON_INT || !weir_jread_i64(&v->r, &i) || i < 0 ||
        i > UINT32_MAX)
        return false;
    *ret = (uint32_t)i;
    return true;
}

/* ---- reading ---- */

int tok_side_add(struct tok_side *s, struct tok_added a)
{
    const int rc =
        weir_reserve(WEIR_MEM_TEXT, &s->added, &s->cap_added, s->n_added + 1, sizeof(*s->added));
    if (!rc)
        s->added[s->n_added++] = a;
    return rc;
}

/* "content" of an object, or a string itself. */
static struct tok_name name_of(const struct tok_json *v)
{
    struct tok_name n = { 0 };
    const struct tok_json inner = tok_json_field(v, "content");
    if (!tok_json_text(v, &n.text, &n.n))
        tok_json_text(&inner, &n.text, &n.n);
    return n;
}

static void copy_name(const struct tok_json *v, char out[64])
{
    const struct tok_name n = name_of(v);
    if (n.n && n.n < 64) {
        memcpy(out, n.text, n.n);
        out[n.n] = 0;
    }
}

static void eos_ids(struct tok_side *s, const struct tok_json *v)
{
    struct weir_jread r = v->r;
    struct tok_json item;
    uint32_t id;
    if (tok_json_u32(v, &id) && s->n_eos_id < 16)
        s->eos_id[s->n_eos_id++] = id;
    if (v->there && v->ev == WEIR_JSON_ARRAY)
        while (tok_json_item(&r, &item))
            if (tok_json_u32(&item, &id) && s->n_eos_id < 16)
                s->eos_id[s->n_eos_id++] = id;
}

/* "added_tokens_decoder": {"151643": {"content": ...}} */
static int read_decoder(struct tok_side *s, const struct tok_json *v)
{
    static const char *const keys[] = { "content",     "lstrip",  "rstrip",
                                        "single_word", "special", "normalized" };
    struct weir_jread r = v->r;
    int rc = 0;
    if (!v->there || v->ev != WEIR_JSON_OBJECT)
        return 0;
    while (!rc && weir_jread_next(&r) == WEIR_JSON_KEY) {
        int64_t id;
        const bool number = r.n && weir_jread_i64(&r, &id) && id >= 0 && id < TOK_MAX_VOCAB;
        struct tok_json f[6], o = { .there = true };
        o.ev = weir_jread_next(&r);
        o.r = r;
        if (!weir_jread_skip(&r, o.ev))
            break;
        struct tok_added a = { .id = number ? (uint32_t)id : 0 };
        size_t n;
        if (!number || !tok_json_fields(&o, keys, f, 6) || !tok_json_text(&f[0], &a.text, &n))
            continue;
        a.n = (uint32_t)n;
        a.flags = (uint8_t)((tok_json_true(&f[1], false) ? TOK_KEY_LSTRIP : 0) |
                            (tok_json_true(&f[2], false) ? TOK_KEY_RSTRIP : 0) |
                            (tok_json_true(&f[3], false) ? TOK_KEY_WORD : 0));
        a.special = tok_json_true(&f[4], false);
        a.normalized = tok_json_true(&f[5], false);
        rc = tok_side_add(s, a);
    }
    return rc;
}

/* added_tokens.json: {"<tool_call>": 151657} */
static int read_added(struct tok_side *s, const struct tok_json *v)
{
    struct weir_jread r = v->r;
    int rc = 0;
    if (s->n_added || v->ev != WEIR_JSON_OBJECT) /* the configuration has said it better */
        return 0;
    while (!rc && weir_jread_next(&r) == WEIR_JSON_KEY) {
        struct tok_json key = { .r = r, .ev = WEIR_JSON_KEY, .there = true }, o = { .there = true };
        struct tok_added a = { .special = true };
        size_t n;
        o.ev = weir_jread_next(&r);
        o.r = r;
        if (!weir_jread_skip(&r, o.ev))
            break;
        if (!tok_json_u32(&o, &a.id) || !tok_json_text(&key, &a.text, &n))
            continue;
        a.n = (uint32_t)n;
        rc = tok_side_add(s, a);
    }
    return rc;
}

static int read_config(struct tok_side *s, const struct tok_json *v)
{
    static const char *const keys[] = { "tokenizer_class",     "add_bos_token",
                                        "add_eos_token",       "bos_token",
                                        "eos_token",           "unk_token",
                                        "add_prefix_space",    "num_image_tokens",
                                        "added_tokens_decoder" };
    struct tok_json f[9];
    if (!tok_json_fields(v, keys, f, 9))
        return 0;
    copy_name(&f[0], s->cls);
    s->says_bos = f[1].there;
    s->add_bos = tok_json_true(&f[1], false);
    s->says_eos = f[2].there;
    s->add_eos = tok_json_true(&f[2], false);
    s->bos = name_of(&f[3]);
    s->eos = name_of(&f[4]);
    s->unk = name_of(&f[5]);
    s->add_prefix_space = tok_json_true(&f[6], false);
    tok_json_u32(&f[7], &s->n_image_tokens);
    return read_decoder(s, &f[8]);
}

static int read_map(struct tok_side *s, const struct tok_json *v)
{
    static const char *const keys[] = { "bos_token", "eos_token", "unk_token" };
    struct tok_name *const to[] = { &s->bos, &s->eos, &s->unk };
    struct tok_json f[3];
    tok_json_fields(v, keys, f, 3);
    for (unsigned i = 0; i < 3; i++)
        if (!to[i]->n)
            *to[i] = name_of(&f[i]);
    return 0;
}

static int read_model(struct tok_side *s, const struct tok_json *v)
{
    static const char *const keys[] = { "model_type", "eos_token_id" };
    struct tok_json f[2];
    tok_json_fields(v, keys, f, 2);
    copy_name(&f[0], s->model_type);
    eos_ids(s, &f[1]);
    return 0;
}

int tok_side_read(const char *dir, struct tok_side *s, struct weir_err *err)
{
    static const struct {
        const char *name;
        int (*read)(struct tok_side *s, const struct tok_json *v);
    } files[] = {
        { "tokenizer_config.json", read_config },
        { "special_tokens_map.json", read_map },
        { "added_tokens.json", read_added },
        { "generation_config.json", read_model },
        { "config.json", read_model },
    };
    *s = (struct tok_side){ .n_image_tokens = WEIR_TOK_NONE };
    int rc = 0;
    for (unsigned i = 0; dir && !rc && i < sizeof(files) / sizeof(files[0]); i++) {
        char path[4096];
        char *text = NULL;
        size_t n;
        struct weir_err why = { 0 };
        struct tok_json v;
        if (snprintf(path, sizeof(path), "%s/%s", dir, files[i].name) >= (int)sizeof(path))
            return weir_fail(err, -EINVAL, "the path %s is too long", dir);
        rc = weir_file_read(path, SIDE_MAX_BYTES, &text, &n, &why);
        if (rc == -ENOENT) {
            rc = 0;
            continue;
        }
        if (rc)
            return weir_fail(err, rc, "%s", why.msg);
        s->file[s->n_file++] = text;
        rc = tok_json_open(path, text, n, &v, err);
        if (!rc && (rc = files[i].read(s, &v)) == -ENOMEM)
            weir_fail(err, rc, "no memory for %s", path);
    }
    return rc;
}

void tok_side_done(struct tok_side *s)
{
    for (unsigned i = 0; i < s->n_file; i++)
        weir_free(s->file[i]);
    weir_free(s->added);
    *s = (struct tok_side){ 0 };
}

/* ---- applying ---- */

int tok_source_grow(struct tok_source *s, uint32_t n, struct weir_err *err)
{
    if (n <= s->n_vocab)
        return 0;
    if (n > TOK_MAX_VOCAB || n - s->n_vocab > s->n_vocab + MAX_HOLE)
        return weir_fail(err, -EINVAL, "token %u is said to be there, after a vocabulary of %u",
                         n - 1, s->n_vocab);
    struct tok_entry *e = weir_grow(WEIR_MEM_TEXT, s->entry, n, sizeof(*e));
    if (!e)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", n);
    s->entry = e;
    memset(e + s->n_vocab, 0, (n - s->n_vocab) * sizeof(*e));
    for (uint32_t id = s->n_vocab; id < n; id++)
        e[id].attr = WEIR_TOK_UNUSED;
    s->n_vocab = n;
    return 0;
}

void tok_source_set(struct tok_source *s, uint32_t id, const void *text, size_t n,
                    enum weir_tok_attr attr)
{
    struct tok_entry *e = &s->entry[id];
    e->text = text;
    e->n = n > TOK_MAX_PIECE ? TOK_MAX_PIECE + 1 : (uint32_t)n; /* tok_build says so */
    e->attr = (uint8_t)attr;
    e->plain = attr != WEIR_TOK_NORMAL;
}

uint32_t tok_source_find(const struct tok_source *s, const void *text, size_t n)
{
    for (uint32_t id = s->n_vocab; n && id-- > 0;)
        if (s->entry[id].n == n && !memcmp(s->entry[id].text, text, n))
            return id;
    return WEIR_TOK_NONE;
}

int tok_side_apply(const struct tok_side *side, struct tok_source *s, struct weir_err *err)
{
    for (size_t i = 0; i < side->n_added; i++) {
        const struct tok_added *a = &side->added[i];
        const int rc = a->id < TOK_MAX_VOCAB ? tok_source_grow(s, a->id + 1, err)
                                             : weir_fail(err, -EINVAL,
                                                         "an added token has the id %u; at most %u "
                                                         "are believed",
                                                         a->id, TOK_MAX_VOCAB);
        if (rc)
            return rc;
        tok_source_set(s, a->id, a->text, a->n,
                       a->special ? WEIR_TOK_CONTROL : WEIR_TOK_USER_DEFINED);
        s->entry[a->id].key_flags = a->flags;
        s->entry[a->id].stage = a->normalized ? TOK_NORMALIZED : TOK_RAW;
    }
    const uint32_t bos = tok_source_find(s, side->bos.text, side->bos.n),
                   eos = tok_source_find(s, side->eos.text, side->eos.n),
                   unk = tok_source_find(s, side->unk.text, side->unk.n);
    s->bos = bos != WEIR_TOK_NONE ? bos : s->bos;
    s->eos = eos != WEIR_TOK_NONE ? eos : s->eos;
    s->unk = unk != WEIR_TOK_NONE ? unk : s->unk;
    if (side->says_bos)
        s->add_bos = side->add_bos;
    if (side->says_eos)
        s->add_eos = side->add_eos;
    for (unsigned i = 0; i < side->n_eos_id && s->n_end < 64; i++)
        s->end[s->n_end++] = side->eos_id[i];
    return 0;
}
