/* SPDX-License-Identifier: MIT
 *
 * Strings of templates: UTF-8 bytes that remember which of them came from the conversation.
 * Positions called `at` are bytes, those called `i` are characters, as Python counts.  Functions
 * fail through the pool.  One thread. */
#ifndef WEIR_TEXT_TEXTSTR_H
#define WEIR_TEXT_TEXTSTR_H

#include "src/text/value.h"

/* A string being put together. */
struct weir_sb {
    struct weir_vpool *p;
    struct weir_strbuf *buf;
    struct weir_vspan *span;
    uint32_t n_span, cap_span;
};

void weir_sb_init(struct weir_sb *b, struct weir_vpool *p);
size_t weir_sb_len(const struct weir_sb *b);
void weir_sb_put(struct weir_sb *b, const char *text, size_t n, bool said);
void weir_sb_puts(struct weir_sb *b, const char *text); /* ours */
void weir_sb_char(struct weir_sb *b, uint32_t c, bool said);
void weir_sb_str(struct weir_sb *b, const struct weir_str *s);
void weir_sb_sub(struct weir_sb *b, const struct weir_str *s, size_t at, size_t end);
/* Everything put so far counts as from the conversation. */
void weir_sb_say_all(struct weir_sb *b);
/* The string; the builder must not be used again. */
struct weir_val weir_sb_done(struct weir_sb *b);

static inline bool weir_str_said(const struct weir_str *s) { return s->n_span > 0; }
bool weir_str_is(const struct weir_str *s, const char *text);
bool weir_str_eq(const struct weir_str *a, const struct weir_str *b);
int weir_str_cmp(const struct weir_str *a, const struct weir_str *b);
struct weir_val weir_str_concat(struct weir_vpool *p, const struct weir_str *a,
                                const struct weir_str *b);
/* Bytes [at, end). */
struct weir_val weir_str_sub(struct weir_vpool *p, const struct weir_str *s, size_t at, size_t end);
size_t weir_str_chars(struct weir_vpool *p, const struct weir_str *s);
/* The byte where character I begins (the end for I >= the count). */
size_t weir_str_off(struct weir_vpool *p, const struct weir_str *s, size_t i);
/* The count of characters before byte AT. */
size_t weir_str_index(struct weir_vpool *p, const struct weir_str *s, size_t at);
/* Find NEEDLE in bytes [at, end): its byte, or SIZE_MAX.  rfind: the last one. */
size_t weir_str_find(struct weir_vpool *p, const struct weir_str *s, const struct weir_str *needle,
                     size_t at, size_t end);
size_t weir_str_rfind(struct weir_vpool *p, const struct weir_str *s, const struct weir_str *needle,
                      size_t at, size_t end);
/* SIDES: 1 left, 2 right, 3 both; CHARS NULL: white space. */
struct weir_val weir_str_strip(struct weir_vpool *p, const struct weir_str *s,
                               const struct weir_str *chars, int sides);
/* COUNT < 0: all. */
struct weir_val weir_str_replace(struct weir_vpool *p, const struct weir_str *s,
                                 const struct weir_str *old, const struct weir_str *new_,
                                 int64_t count);
/* SEP NULL: runs of white space; MAX < 0: no limit; FROM_RIGHT: rsplit. */
struct weir_vlist *weir_str_split(struct weir_vpool *p, const struct weir_str *s,
                                  const struct weir_str *sep, int64_t max, bool from_right);
struct weir_vlist *weir_str_lines(struct weir_vpool *p, const struct weir_str *s, bool keep);
struct weir_val weir_str_repeat(struct weir_vpool *p, const struct weir_str *s, int64_t n);
/* Take the characters one by one: false at the end.  *AT starts at 0. */
bool weir_str_next(const struct weir_str *s, size_t *at, uint32_t *ret);

/* The byte where the character that ends before byte AT > 0 begins. */
size_t weir_str_back(const struct weir_str *s, size_t at);

/* textstr_case.c.  WHAT: 'u'pper 'l'ower 't'itle (as str.title) 'c'apitalize 's'wapcase 'f'old. */
struct weir_val weir_str_case(struct weir_vpool *p, const struct weir_str *s, char what);
/* FILL one character; SIDE '<' pad right, '>' pad left, '^' both as str.center. */
struct weir_val weir_str_pad(struct weir_vpool *p, const struct weir_str *s, int64_t width,
                             const struct weir_str *fill, char side);
/* & < > " ' as HTML wants them, marked as markup. */
struct weir_val weir_str_escape(struct weir_vpool *p, const struct weir_str *s);

#endif
