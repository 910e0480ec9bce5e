/* SPDX-License-Identifier: MIT
 *
 * Text on its way to a terminal, a few characters at a time: lines end between words, and
 * characters that would command the terminal are shown instead.  Nothing is held back: a word that
 * turns out not to fit is taken from the end of its line again and put on the next.  Lines of code,
 * between lines of ```, are left to the terminal, so that they can be copied.  One thread. */
#ifndef WEIR_SRC_CMD_WRAP_H
#define WEIR_SRC_CMD_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct weir_wrap { /* start from {0}: at the left edge */
    unsigned cols; /* of the terminal; below 4: lines are not ended */
    unsigned col;  /* where the cursor is */
    char word[256];
    size_t n_word;      /* bytes of the word at the cursor; more than there is room: not kept */
    unsigned word_cols; /* its columns */
    unsigned ticks;     /* how many ` the line begins with; more than 3: it begins otherwise */
    bool code;          /* between lines of ``` */
    bool broken;        /* the line was ended by weir_wrap_break: a space ends with it */
};

/* Have wcwidth know Unicode.  Only the kind of characters is set: numbers stay as programs write
 * them. */
void weir_wrap_locale(void);

/* The columns of the terminal that F is, now; 0: of none that is known, or of one that only knows
 * text. */
unsigned weir_wrap_cols(FILE *f);

/* Write N bytes of TEXT, whole characters of UTF-8, to F.  Widths are those of wcwidth, so of the
 * locale.  0 or -errno of writing. */
int weir_wrap_put(struct weir_wrap *w, FILE *f, const char *text, size_t n);

/* Something else is about to be shown: end a line that was begun. */
void weir_wrap_break(struct weir_wrap *w, FILE *f);

#endif
