/* SPDX-License-Identifier: MIT
 *
 * A pickle read as a description.  Nothing is ever called or imported: the few globals that a
 * checkpoint of weights needs (mmap/torch_globals.h) become inert records, every other one is
 * refused by name, and so is every instruction that torch.save does not write.  Private to mmap/.
 * One thread per pickle. */
#ifndef WEIR_MMAP_TORCH_PICKLE_H
#define WEIR_MMAP_TORCH_PICKLE_H

#include "base/dtype.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_pickle_kind {
    WEIR_PICKLE_NONE,
    WEIR_PICKLE_BOOL,   /* v */
    WEIR_PICKLE_INT,    /* v */
    WEIR_PICKLE_LONG,   /* an integer of more than 64 bits: N bytes at V of the text */
    WEIR_PICKLE_REAL,   /* whose value nobody needs */
    WEIR_PICKLE_STR,    /* N bytes at V of the text; UTF-8 is not promised */
    WEIR_PICKLE_GLOBAL, /* entry V of the table of globals */
    WEIR_PICKLE_TUPLE,  /* list V, and so the next two */
    WEIR_PICKLE_LIST,
    WEIR_PICKLE_DICT,    /* keys and values in turn */
    WEIR_PICKLE_STORAGE, /* storage V */
    WEIR_PICKLE_TENSOR,  /* tensor V */
};

struct weir_pickle_value {
    enum weir_pickle_kind kind;
    uint32_t n;
    int64_t v;
};

struct weir_pickle_node { /* of a list */
    struct weir_pickle_value value;
    uint32_t next; /* UINT32_MAX at the end */
};

struct weir_pickle_list {
    uint32_t first, last, n; /* nodes; n counts them */
};

/* An array of numbers in the file, by the key that the container finds it by. */
struct weir_pickle_storage {
    struct weir_pickle_value key; /* a string */
    uint32_t global;              /* its class */
    uint64_t numel;               /* elements (bytes, of an untyped one) */
    bool is_view;                 /* a part of the storage of that key: */
    uint64_t view_offset, view_numel;
};

/* A view of a storage.  Nothing about its numbers is checked yet. */
struct weir_pickle_tensor {
    uint32_t storage;
    uint32_t dtype_global; /* says the type; UINT32_MAX: the storage's class does */
    int64_t offset;        /* elements */
    uint32_t size, stride; /* lists */
};

struct weir_pickle {
    const uint8_t *text; /* owned by the caller */
    uint64_t n_text;
    const char *path; /* for sentences */
    struct weir_pickle_value root;
    struct weir_pickle_node *node;
    struct weir_pickle_list *list;
    struct weir_pickle_storage *storage;
    struct weir_pickle_tensor *tensor;
    size_t n_node, cap_node, n_list, cap_list, n_storage, cap_storage, n_tensor, cap_tensor;
};

/* Read one pickle from the front of the N bytes at TEXT.
 * ret_used   its length in bytes.
 * Returns 0; -EINVAL: refused, the sentence says what it asks for; -ENOMEM.  In every case
 * weir_pickle_done is called afterwards.  Memory is bounded by WEIR_PICKLE_MAX values, lists,
 * remembered values and so on: some 300 MiB for the worst that can be written. */
int weir_pickle_read(struct weir_pickle *p, const uint8_t *text, uint64_t n, const char *path,
                     uint64_t *ret_used, struct weir_err *err);
void weir_pickle_done(struct weir_pickle *p);

#define WEIR_PICKLE_MAX (UINT32_C(2) << 20)

/* Walk list I: the first node, then n->next while it is below UINT32_MAX. */
static inline const struct weir_pickle_node *weir_pickle_at(const struct weir_pickle *p,
                                                            uint32_t node)
{
    return node == UINT32_MAX ? NULL : &p->node[node];
}

/* Is V the string S? */
bool weir_pickle_is(const struct weir_pickle *p, struct weir_pickle_value v, const char *s);

/* For the reader itself (torch_pickle.c calls, torch_objects.c answers): what an instruction makes
 * of records.  Errors have sentences. */
int weir_pickle_new_list(struct weir_pickle *p, uint32_t *ret, struct weir_err *err);
int weir_pickle_append(struct weir_pickle *p, uint32_t list, struct weir_pickle_value v,
                       struct weir_err *err);
int weir_pickle_reduce(struct weir_pickle *p, struct weir_pickle_value callable,
                       struct weir_pickle_value args, struct weir_pickle_value *ret,
                       struct weir_err *err);
int weir_pickle_persistent(struct weir_pickle *p, struct weir_pickle_value id,
                           struct weir_pickle_value *ret, struct weir_err *err);
/* The global MODULE.NAME (N bytes each), or -EINVAL with the sentence that it is refused. */
int weir_pickle_global(const struct weir_pickle *p, const uint8_t *module, uint64_t n_module,
                       const uint8_t *name, uint64_t n_name, struct weir_pickle_value *ret,
                       struct weir_err *err);

#endif
