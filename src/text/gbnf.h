/* SPDX-License-Identifier: MIT
 *
 * Grammars as people write them (GBNF: `root ::= "a" [0-9]+ | other`), parsed and compiled into a
 * program over bytes.  Read-only afterwards: any thread may match with it (src/text/grammar.h).
 *
 * The language: rules `name ::= body` (names of letters, digits, - and _; a body goes on over line
 * ends inside parentheses and after | and ::=), alternatives |, groups ( ), literals "..",
 * character classes [a-z] and [^a-z], any character `.`, references to rules, and the repetitions *
 * + ? {m} {m,} {m,n} {,n}.  Escapes in literals and classes: \n \t \r \\ \" \[ \] \xNN \uNNNN
 * \UNNNNNNNN. # starts a comment.  Matching begins with the rule `root`.
 *
 * A rule's body is a program.  Every instruction but JMP and END goes on with the next one, and
 * jumps are relative, so that a piece of code can be copied and moved as it is.  Characters are
 * matched as their UTF-8 bytes; a class is a small automaton over bytes, so that a match can pause
 * inside a character and only ever continue to one that is allowed. */
#ifndef WEIR_SRC_TEXT_GBNF_H
#define WEIR_SRC_TEXT_GBNF_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_GBNF_CODE_MAX (1u << 18) /* instructions: what "too large" means */
#define WEIR_GBNF_ROWS_MAX (1u << 14) /* states of all classes together */
#define WEIR_GBNF_TEXT_MAX (4u << 20) /* bytes of a grammar */

enum weir_gbnf_opcode {
    WEIR_GBNF_END,   /* of rule arg */
    WEIR_GBNF_BYTE,  /* this byte */
    WEIR_GBNF_CLASS, /* a character, by the automaton whose first row is arg */
    WEIR_GBNF_CALL,  /* rule arg */
    WEIR_GBNF_TAIL,  /* the same, and nothing but the end follows */
    WEIR_GBNF_SPLIT, /* go on here and at arg instructions from here */
    WEIR_GBNF_JMP,   /* arg instructions from here */
};

struct weir_gbnf_op {
    uint8_t op;
    int32_t arg;
};

struct weir_gbnf_rule {
    uint32_t start; /* of its code; UINT32_MAX: not defined */
    uint32_t line;  /* where it is defined, or first used */
    uint32_t rank;  /* a rule stands before those it can begin with: calls go to higher ranks */
    bool nullable;  /* matches the empty text */
    uint32_t name, name_n; /* in names */
};

#define WEIR_GBNF_ROW_DEAD 0u
#define WEIR_GBNF_ROW_DONE 1u /* the character is whole */

/* One state inside a character: what each byte leads to. */
struct weir_gbnf_row {
    uint16_t next[256];
};

struct weir_gbnf {
    struct weir_gbnf_op *code;
    uint32_t n_code, cap_code;
    struct weir_gbnf_rule *rule;
    uint32_t n_rule, cap_rule;
    uint32_t *rule_at; /* hash table of rules by name, while parsing: index + 1 */
    uint32_t root;
    uint32_t *by_rank;         /* [n_rule] rules in the order of their ranks */
    struct weir_gbnf_row *row; /* rows 0 and 1 are DEAD and DONE */
    uint32_t *row_hash;
    uint32_t n_row, cap_row;
    uint32_t full[4]; /* rows that take any 1, 2, 3 continuation bytes; 0: not made yet */
    char *names;
    uint32_t n_name, cap_name;
    /* Bytes nothing in the grammar tells apart form a class. */
    uint8_t byte_class[256];
    uint32_t n_byte_class;
};

/* Compile N bytes of TEXT.
 * 0 with *ret (free with weir_gbnf_free); -EINVAL: what is wrong and in which line: syntax, a rule
 * that is not defined, defined twice, begins with itself or never ends, a character that cannot
 * be; -E2BIG: a repetition or a grammar that is too large; -ENOMEM. */
int weir_gbnf_parse(const char *text, size_t n, struct weir_gbnf **ret, struct weir_err *err);
void weir_gbnf_free(struct weir_gbnf *g); /* NULL is fine */

/* A set of characters: ranges, which may overlap and stand in any order; made by the parser. */
struct weir_gbnf_range {
    uint32_t lo, hi;
};

/* gbnf_class.c: the automaton for R[n] (which it sorts), or for every other character with NEGATE.
 * *ret is its first row, WEIR_GBNF_ROW_DEAD when it matches nothing.  0, -E2BIG or -ENOMEM. */
int weir_gbnf_class(struct weir_gbnf *g, struct weir_gbnf_range *r, size_t n, bool negate,
                    uint32_t *ret, struct weir_err *err);

/* gbnf_check.c: what must hold before anything is matched; fills ranks, nullable, TAIL and the byte
 * classes.  0, -EINVAL or -ENOMEM. */
int weir_gbnf_check(struct weir_gbnf *g, struct weir_err *err);

#endif
