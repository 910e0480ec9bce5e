/* SPDX-License-Identifier: MIT
 *
 * JSON, through cJSON, which base/json.c alone includes.  Trees are opaque; numbers are doubles, so
 * whole numbers are exact up to 2^53 when read, up to 10^15 when written.  One thread per tree. */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct cJSON weir_json;

/* Parse N bytes.  0; -EINVAL: not JSON (the sentence has the byte position); -ENOMEM. */
int weir_json_parse(const char *text, size_t n, weir_json **ret, struct weir_err *err);
void weir_json_free(weir_json *j); /* NULL is fine */

enum weir_json_kind {
    WEIR_JSON_NULL,
    WEIR_JSON_FALSE,
    WEIR_JSON_TRUE,
    WEIR_JSON_NUMBER,
    WEIR_JSON_STRING,
    WEIR_JSON_ARRAY,
    WEIR_JSON_OBJECT
};
enum weir_json_kind weir_json_kind(const weir_json *j); /* of NULL: WEIR_JSON_NULL */

/* Reading.  Look-ups answer NULL or the default when the thing is not there or of another kind. */
weir_json *weir_json_get(const weir_json *object, const char *key);
weir_json *weir_json_first(const weir_json *container); /* first child of an array or object */
weir_json *weir_json_next(const weir_json *child);
const char *weir_json_name(const weir_json *child); /* its key in an object, or NULL */
double weir_json_num(const weir_json *j, double fallback);
const char *weir_json_str(const weir_json *j); /* or NULL */

/* Building.  A failed allocation is remembered nowhere: weir_json_print answers NULL for a NULL
 * tree, and callers check that. */
weir_json *weir_json_object(void);
weir_json *weir_json_array(void);
void weir_json_add_num(weir_json *object, const char *key, double v);
void weir_json_add_str(weir_json *object, const char *key, const char *v);
void weir_json_add_strn(weir_json *object, const char *key, const char *v, size_t n);
void weir_json_add_bool(weir_json *object, const char *key, bool v);
void weir_json_add(weir_json *object, const char *key,
                   weir_json *child);                    /* owns CHILD afterwards */
void weir_json_push(weir_json *array, weir_json *child); /* owns CHILD afterwards */
void weir_json_push_num(weir_json *array, double v);

/* The text of J, to be freed with free(), or NULL when there is no memory.  Strings are written as
 * valid UTF-8: bytes that are not become U+FFFD. */
char *weir_json_print(const weir_json *j, bool pretty);

#endif
