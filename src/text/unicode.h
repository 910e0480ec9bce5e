/* SPDX-License-Identifier: MIT
 *
 * What Python's str knows about characters: properties and full case mappings, from a generated
 * table (unicode.inc), so that the result does not depend on the machine's locale.  No state, any
 * thread. */
#ifndef WEIR_TEXT_UNICODE_H
#define WEIR_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_uni {
    WEIR_UNI_ALPHA = 1,
    WEIR_UNI_DECIMAL = 2,
    WEIR_UNI_DIGIT = 4,
    WEIR_UNI_NUMERIC = 8,
    WEIR_UNI_PRINT = 16,
    WEIR_UNI_LOWER = 32,
    WEIR_UNI_UPPER = 64,
    WEIR_UNI_TITLE = 128,
    WEIR_UNI_ID_START = 256,
    WEIR_UNI_ID_NEXT = 512,
    WEIR_UNI_CASED = 1024,
    WEIR_UNI_CASE_IGNORABLE = 2048,
};

/* The WEIR_UNI_... bits of C. */
unsigned weir_uni_props(uint32_t c);
/* What str.isspace() and str.split() take for white space. */
bool weir_uni_is_space(uint32_t c);
/* The value 0..9 of a WEIR_UNI_DECIMAL character. */
unsigned weir_uni_decimal(uint32_t c);

/* Full mappings: 1 to 3 code points into OUT; how many. */
unsigned weir_uni_lower(uint32_t c, uint32_t out[3]);
unsigned weir_uni_upper(uint32_t c, uint32_t out[3]);
unsigned weir_uni_title(uint32_t c, uint32_t out[3]);
unsigned weir_uni_fold(uint32_t c, uint32_t out[3]);

/* The character at P, where N > 0 bytes are left, and its length: U+FFFD of 1 byte for what is not
 * UTF-8. */
uint32_t weir_uni_get(const char *p, size_t n, size_t *ret_len);
/* C as UTF-8 into OUT; its length.  Surrogates and what is above U+10FFFF become U+FFFD. */
size_t weir_uni_put(uint32_t c, char out[4]);

#endif
