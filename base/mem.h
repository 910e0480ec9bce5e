/* SPDX-License-Identifier: MIT
 *
 * Memory under a budget: every large allocation is charged to an account, so that what was planned
 * and what was taken can be compared.  Small heap objects go through weir_alloc too.
 *
 * Any thread may allocate; nobody does in the token loop. */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum weir_account {
    WEIR_MEM_PINNED,  /* weights that stay in memory */
    WEIR_MEM_RING,    /* the slots that streamed weights pass through */
    WEIR_MEM_KV,      /* key/value cache */
    WEIR_MEM_SCRATCH, /* activations of one pass */
    WEIR_MEM_TEXT,    /* tokenizer tables */
    WEIR_MEM_MISC,    /* everything else */
    WEIR_MEM_COUNT
};

extern const char *const weir_mem_names[WEIR_MEM_COUNT];

/* Zeroed heap memory of N bytes charged to ACCOUNT; NULL when there is none (or N * SIZE
 * overflows). Free with weir_free.  weir_grow resizes (new bytes are NOT zeroed); on NULL the old
 * block is intact. */
void *weir_alloc(enum weir_account account, size_t n, size_t size);
void *weir_grow(enum weir_account account, void *p, size_t n, size_t size);
void weir_free(void *p); /* NULL is fine */
/* Room for at least N elements of SIZE bytes in an array that grows by appending.  ARRAY is the
 * address of the pointer to it, CAP the elements it has room for; both are left as they are on
 * failure.  0 or -ENOMEM. */
int weir_reserve(enum weir_account account, void *array, size_t *cap, size_t n, size_t size);
char *weir_strndup(enum weir_account account, const char *s, size_t n);

/* Bytes now charged to ACCOUNT. */
uint64_t weir_mem_used(enum weir_account account);

/* A region straight from the kernel, aligned to 2 MiB.  From that size up it asks for huge pages,
 * because direct reads into huge pages run at up to three times the rate of reads into
 * ordinary ones.  Pages are charged by the kernel when touched. */
struct weir_region {
    uint8_t *base; /* NULL when empty */
    uint64_t bytes;
    enum weir_account account;
};
/* 0 or -ENOMEM. */
int weir_region_init(struct weir_region *r, enum weir_account account, uint64_t bytes,
                     struct weir_err *err);
void weir_region_done(struct weir_region *r);
/* What weir_region_init will take for BYTES. */
uint64_t weir_region_bytes(uint64_t bytes);
/* Bytes of the region that huge pages back now (from /proc/self/smaps); 0 when unknown. */
uint64_t weir_region_huge_bytes(const struct weir_region *r);

#endif
