/* SPDX-License-Identifier: MIT
 *
 * What a model thinks before it answers, told apart from the answer while it is generated.  Known
 * markers: <think>, [THINK], <|START_THINKING|>, <seed:think> and their ends.  A thought can only
 * stand at the beginning; white space around it and in front of the answer belongs to nobody.
 * One thread. */
#ifndef WEIR_TEXT_THINK_H
#define WEIR_TEXT_THINK_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_THINK_HELD 32 /* more than the longest marker */

struct weir_think {
    enum { WEIR_THINK_OPEN, WEIR_THINK_THOUGHT, WEIR_THINK_ANSWER } state;
    int kind;  /* of the markers */
    bool skip; /* white space that comes now */
    size_t n_held;
    char held[WEIR_THINK_HELD]; /* what may become a marker */
};

/* Which marker, counted from 0, TEXT ends with (white space may follow): a form that begins the
 * thought itself.  -1: none. */
int weir_think_begun(const char *text, size_t n);

/* BEGUN: as weir_think_begun says of the prompt. */
void weir_think_init(struct weir_think *t, int begun);

/* Told pieces in their order; never an empty one.  A negative answer ends the call with it. */
typedef int weir_think_fn(void *arg, bool thought, const char *text, size_t n);

/* More text (whole characters); _flush: there is no more.  0, or what FN answered. */
int weir_think_push(struct weir_think *t, const char *text, size_t n, weir_think_fn *fn, void *arg);
int weir_think_flush(struct weir_think *t, weir_think_fn *fn, void *arg);

#endif
