/* SPDX-License-Identifier: MIT
 *
 * The words of a timeline, as SVG text: what the lanes mean, in numbers. */
#ifndef WEIR_SRC_CMD_TIMELINE_WORDS_H
#define WEIR_SRC_CMD_TIMELINE_WORDS_H

#include "src/cmd/timeline_svg.h"

struct weir_tl_word {
    char s[48];
};

struct weir_tl_word weir_tl_seconds(double s);
struct weir_tl_word weir_tl_bytes(double n, const char *per); /* PER: "" or "/s" */
struct weir_tl_word weir_tl_percent(double part, double whole);

/* S as XML text, whatever bytes it has. */
void weir_tl_escape(FILE *out, const char *s);

/* A line each, at most 150 characters. */
void weir_tl_say_hidden(FILE *out, const struct weir_tl *t, const struct weir_tl_sum *s);
void weir_tl_say_amounts(FILE *out, const struct weir_tl *t, const struct weir_tl_sum *s);
void weir_tl_say_tokens(FILE *out, const struct weir_tl *t);
void weir_tl_say_gaps(FILE *out,
                      const struct weir_tl *t); /* what is not in the picture; often nothing */

#endif
