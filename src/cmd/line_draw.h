/* SPDX-License-Identifier: MIT
 *
 * A line that is being typed, as it is on the screen: over several rows when it is longer than one,
 * with newlines in it, and of rows that do not fit on the screen those around the cursor.  How wide
 * a character is, is what wcwidth says; where the terminal thinks otherwise (emoji that are joined)
 * the cursor is right all the same, because it is put where the terminal stops after what is before
 * it.  One thread. */
#ifndef WEIR_SRC_CMD_LINE_DRAW_H
#define WEIR_SRC_CMD_LINE_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

struct weir_line_text {
    const char *prompt;  /* ASCII */
    const wchar_t *text; /* [n] */
    size_t n, cursor;    /* cursor <= n */
};

struct weir_line_draw { /* start from {0} and a stream */
    FILE *out;
    unsigned cols, rows; /* of the screen; 0: not asked yet */
    unsigned top;        /* the first row that is shown */
    unsigned at;         /* the row of the cursor, of those that are shown */
    bool drawn;          /* there is something on the screen, and the cursor in it */
    uint64_t what;       /* a hash of its text */
    size_t n, cursor;    /* its length, and where the cursor is */
};

/* Show T in the place of what is shown; nothing happens when it is the same. */
void weir_line_draw(struct weir_line_draw *d, const struct weir_line_text *t);
/* Show all of T, also what does not fit on the screen, and leave the cursor behind it.  What is
 * drawn next begins where the cursor is then. */
void weir_line_draw_end(struct weir_line_draw *d, const struct weir_line_text *t);
/* The screen has another size, and T is shown on it: draw it again. */
void weir_line_draw_resized(struct weir_line_draw *d, const struct weir_line_text *t);
/* Begin at the top of an empty screen. */
void weir_line_draw_clear(struct weir_line_draw *d);

/* May the cursor stand before TEXT[at] of N?  Not between a letter and its marks, nor in an emoji
 * of several parts. */
bool weir_line_boundary(const wchar_t *text, size_t n, size_t at);

#endif
