/* SPDX-License-Identifier: MIT
 *
 * The file of a saved conversation (or of a prompt that was read): the text, the tokens, the keys
 * and values of every position, and where the random numbers are.  doc/chat.md has the layout.
 *
 * A file is written by adding records behind its end and then, when they are on the disk, the one
 * page that says so; so whoever is killed at any moment leaves the state of before or of after.
 * When more than half of a file is of the past, and when it is new, it is written anew beside its
 * place and renamed.  Hostile files are expected: every length is proved, every byte that is used
 * has a checksum.  Nothing here copies the keys and values: they go between the cache and the file,
 * and their pages out of the page cache again.  One thread. */
#ifndef WEIR_SRC_RUN_SAVED_H
#define WEIR_SRC_RUN_SAVED_H

#include "src/model/kv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_SAVED_TEXT_MAX  ((size_t)64 << 20) /* bytes of text */
#define WEIR_SAVED_STATE_MAX ((size_t)64 << 20) /* bytes of tokens and sampler */
/* Pages that are on their way between a file and the cache at most. */
#define WEIR_SAVED_PAGES ((uint64_t)4 << 20)

enum weir_saved_kind { WEIR_SAVED_TALK = 1, WEIR_SAVED_PROMPT = 2 };

/* Whose positions they are.  Strings are terminated and zero behind their end. */
struct weir_saved_id {
    uint32_t kind;  /* enum weir_saved_kind */
    uint64_t model; /* weir_ident_model */
    uint32_t n_layer, n_head_kv, head_dim, n_vocab;
    uint32_t row_bytes; /* one position of one head, keys or values */
    char arch[32], name[64];
    char kv[8], act[8], isa[32]; /* as the options and weir_kernels() name them */
};

/* What goes on where it was. */
struct weir_saved_state {
    uint32_t ctx;         /* size of the context it was made with */
    uint32_t n_pos;       /* positions */
    uint32_t *tokens;     /* [n_pos] what they were filled with */
    uint64_t n_left_out;  /* as weir_dialog has it */
    uint64_t logits_hash; /* as weir_session has it */
    uint8_t *sampler;     /* n_sampler bytes of weir_sampler_save */
    size_t n_sampler;
};
void weir_saved_state_done(struct weir_saved_state *s); /* for states that were read */

struct weir_saved; /* an open file */

/* Does the file at PATH begin as these files do? */
bool weir_saved_is(const char *path);

/* Open the file at PATH to go on with it, or make it (empty, for its owner only), and hold a lock
 * on it until it is closed.
 * 0 with *RET; -EBUSY: another program has it open; -EINVAL: it is something else, or damaged;
 * -ENOTSUP: of another version; or what the system answered. */
int weir_saved_open(const char *path, struct weir_saved **ret, struct weir_err *err);
/* To read only, without a lock; as weir_saved_open. */
int weir_saved_view(const char *path, struct weir_saved **ret, struct weir_err *err);
void weir_saved_close(struct weir_saved *f); /* NULL is fine */

bool weir_saved_is_new(const struct weir_saved *f); /* nothing is in it yet */
const char *weir_saved_path(const struct weir_saved *f);
const struct weir_saved_id *weir_saved_id(const struct weir_saved *f); /* not of a new one */
uint64_t weir_saved_bytes(const struct weir_saved *f);
/* Is PATH the file that F has open? */
bool weir_saved_same(const struct weir_saved *f, const char *path);

/* Of a file that is not new.  The text (terminated, N bytes) is for weir_free.
 * 0; -EINVAL: damaged; -ENOMEM; or what reading answered. */
int weir_saved_text(const struct weir_saved *f, char **ret, size_t *n, struct weir_err *err);
int weir_saved_state(struct weir_saved *f, struct weir_saved_state *ret, struct weir_err *err);
/* Positions 0..N, which the state has and KV has room for, into KV, whose layout is that of
 * weir_saved_id (n_layer layers).
 * 0; -EINVAL: damaged, or of another layout; or what reading answered.  After a failure what is in
 * KV means nothing. */
int weir_saved_keys(const struct weir_saved *f, const struct weir_kv *kv, uint32_t n,
                    struct weir_err *err);

/* Have FN told of how many BYTES of how many weir_saved_keys has read, some megabytes at a time. */
void weir_saved_watch(struct weir_saved *f, void (*fn)(void *arg, uint64_t bytes, uint64_t total),
                      void *arg);

/* The text of the file at PATH, however damaged the rest of it is.  *RET_LAST: it is the last one
 * that was written, for sure.  0; -EINVAL: there is none. */
int weir_saved_recover(const char *path, char **ret, size_t *n, bool *ret_last,
                       struct weir_err *err);

/* Make what F holds this: TEXT[n_text], state S, and of KV the positions 0..s->n_pos, of which only
 * those are written that the file has not.  When it returns 0 the disk has it; else the file holds
 * what it did before (-ENOSPC, -EFBIG, -EIO, ...), and may be tried again. */
int weir_saved_commit(struct weir_saved *f, const struct weir_saved_id *id, const char *text,
                      size_t n_text, const struct weir_saved_state *s, const struct weir_kv *kv,
                      struct weir_err *err);
/* The same as a file of its own at PATH, in the place of such a file if there is one.  -EEXIST:
 * something else is there. */
int weir_saved_write(const char *path, const struct weir_saved_id *id, const char *text,
                     size_t n_text, const struct weir_saved_state *s, const struct weir_kv *kv,
                     struct weir_err *err);

#endif
