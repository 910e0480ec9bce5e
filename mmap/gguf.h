/* SPDX-License-Identifier: MIT
 *
 * What the two halves of the GGUF reader share: the numbers of the value types, and reading the
 * key-value section.  Private to mmap/. */
#ifndef WEIR_MMAP_GGUF_H
#define WEIR_MMAP_GGUF_H

#include "base/cur.h"
#include "base/err.h"
#include "mmap/map_private.h"

enum weir_gguf_type {
    WEIR_GGUF_U8,
    WEIR_GGUF_I8,
    WEIR_GGUF_U16,
    WEIR_GGUF_I16,
    WEIR_GGUF_U32,
    WEIR_GGUF_I32,
    WEIR_GGUF_F32,
    WEIR_GGUF_BOOL,
    WEIR_GGUF_STR,
    WEIR_GGUF_ARRAY,
    WEIR_GGUF_U64,
    WEIR_GGUF_I64,
    WEIR_GGUF_F64,
    WEIR_GGUF_TYPE_COUNT
};

/* A file that needs more than this many bytes is damaged, not cut short. */
#define WEIR_GGUF_ABSURD (UINT64_C(1) << 50)

/* One file being read. */
struct weir_gguf_in {
    struct weir_cur c;
    const char *path;
    struct weir_arena *arena; /* for the names */
};

/* The next N bytes are needed: 0, or -EINVAL with the sentence that the file is cut short. */
int weir_gguf_need(const struct weir_gguf_in *in, uint64_t n, struct weir_err *err);

/* A length and that many bytes, at most MAX and without a zero byte, copied to the arena.
 * WHAT is for sentences: "key", "tensor name".  0 or an error. */
int weir_gguf_name(struct weir_gguf_in *in, const char *what, uint64_t max, const char **ret,
                   struct weir_err *err);

/* The key-value section of N pairs into S.  0 or an error with a sentence. */
int weir_gguf_read_kv(struct weir_gguf_in *in, uint64_t n, struct weir_metas *s,
                      struct weir_err *err);

/* One value of a type that is neither an array nor unknown, from C into *ret (type and v).
 * false, with *ret undefined, when the bytes do not hold one. */
bool weir_gguf_value(struct weir_cur *c, uint32_t raw_type, struct weir_meta *ret);

/* Which kind of value RAW_TYPE is (WEIR_META_ARRAY for an array).  false: there is no such type. */
bool weir_gguf_kind(uint32_t raw_type, enum weir_meta_type *ret);

#endif
