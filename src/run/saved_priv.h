/* SPDX-License-Identifier: MIT
 *
 * What the files of weir_saved share: the layout, as it lies on the disk.  Not for others. */
#ifndef WEIR_SRC_RUN_SAVED_PRIV_H
#define WEIR_SRC_RUN_SAVED_PRIV_H

#include "base/hash.h"
#include "src/run/saved.h"

#include <assert.h>

/* The structs below are the bytes of the file: little-endian, as everything this program reads. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

#define SAVED_MAGIC   "weirsess"
#define SAVED_VERSION 1u
#define SAVED_PAGE    4096u
#define SAVED_SLOT(i) (SAVED_PAGE * (1 + (i))) /* i: 0, 1 */
#define SAVED_FIRST   (SAVED_PAGE * 3)         /* offset of the first record */
#define SAVED_ALIGN   64u                      /* records begin at multiples of it */

/* Page 0.  Never changes. */
struct saved_head {
    char magic[8];
    uint32_t version, kind;
    uint64_t model;
    uint32_t n_layer, n_head_kv, head_dim, n_vocab, row_bytes, unused;
    char arch[32], name[64], kv[8], act[8], isa[32];
    uint8_t zero[SAVED_PAGE - 48 - 144 - 8];
    uint64_t hash; /* of everything before it */
};
static_assert(sizeof(struct saved_head) == SAVED_PAGE, "a page");

/* Pages 1 and 2, in turn: the higher SEQ counts. */
struct saved_slot {
    char magic[8];                /* "weirslot" */
    uint64_t seq;                 /* from 1 */
    uint64_t end;                 /* bytes of the file that count */
    uint64_t text_off, state_off; /* the records */
    uint32_t n_pos, unused;
    uint64_t zero;
    uint64_t hash; /* of everything before it */
};
static_assert(sizeof(struct saved_slot) == 64, "one write");

/* A record: this, then its bytes. */
struct saved_rec {
    char magic[8]; /* one of the three below */
    uint64_t seq;  /* the slot it was written for */
    uint64_t bytes;
    uint64_t hash;     /* of the bytes */
    uint32_t from, to; /* keys: of positions [from, to) */
    uint64_t zero[2];
    uint64_t head_hash; /* of everything before it */
};
static_assert(sizeof(struct saved_rec) == SAVED_ALIGN, "one unit");
#define REC_TEXT  "weirtext"
#define REC_STATE "weirstat"
#define REC_KEYS  "weirkeys" /* [layer][k or v][head][from..to][row_bytes] */

/* The bytes of a state: this, tokens[n_pos], the sampler. */
struct saved_state {
    uint32_t ctx, n_pos;
    uint64_t n_left_out, logits_hash, n_sampler;
};
static_assert(sizeof(struct saved_state) == 32, "no holes");

struct weir_saved {
    int fd;
    char *path;
    bool fresh; /* nothing is in it */
    bool made;  /* by us */
    bool spent; /* which slot counts is not sure: only a new file is */
    struct weir_saved_id id;
    struct saved_slot slot;
    uint32_t *tokens; /* [n_tokens] the positions the file is known to hold */
    size_t n_tokens, cap;
    void (*watch)(void *arg, uint64_t bytes, uint64_t total); /* of weir_saved_keys; or NULL */
    void *watch_arg;
};

static inline uint64_t saved_hash(const void *p, size_t n)
{
    return weir_hash_words(WEIR_HASH_INIT, p, n);
}

/* Remember that the file holds TOKENS[n].  0 or -ENOMEM. */
int weir_saved_know(struct weir_saved *f, const uint32_t *tokens, uint32_t n, struct weir_err *err);
/* Read header and slots of F->fd.  0; -EINVAL, -ENOTSUP. */
int weir_saved_front(struct weir_saved *f, struct weir_err *err);

/* saved_flow.c: positions [FROM, TO) between the cache and a file at OFFSET, without their pages
 * staying in the page cache; *HASH goes on over them.  In: those from WANTED (above FROM) on are
 * only read.  0 or -errno; -ENODATA: the file ends. */
int weir_saved_flow_out(int fd, uint64_t offset, const struct weir_kv *kv, uint32_t n_layer,
                        uint32_t from, uint32_t to, uint64_t *hash);
int weir_saved_flow_in(const struct weir_saved *f, uint64_t offset, const struct weir_kv *kv,
                       uint32_t from, uint32_t to, uint32_t wanted, uint64_t *hash);
/* N bytes at OFFSET, all of them.  As above. */
int weir_saved_pread(int fd, void *p, size_t n, uint64_t offset);
int weir_saved_pwrite(int fd, const void *p, size_t n, uint64_t offset);

#endif
