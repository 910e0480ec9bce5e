/* SPDX-License-Identifier: MIT
 *
 * From a JSON Schema to a grammar (src/text/gbnf.h) all of whose texts are JSON that the schema
 * accepts.  The grammar may be narrower than the schema, never wider, with one exception: oneOf is
 * read as anyOf.
 *
 * Understood: type (a name or a list), enum, const, properties, required, additionalProperties,
 * items, prefixItems, minItems, maxItems, minLength, maxLength, pattern (no look-around, no
 * back-references), format (date, time, date-time, uuid), minimum, maximum and their exclusive
 * forms for integers, $ref within the document, anyOf, oneOf, allOf.  What only describes (title,
 * default, ..) is passed over; every other keyword is an error that names it.
 *
 * Properties come in the order of the schema.  An object with properties has no others unless
 * additionalProperties allows them by name; keys of its own making never repeat a property. */
#ifndef WEIR_SRC_TEXT_SCHEMA_H
#define WEIR_SRC_TEXT_SCHEMA_H

#include "base/err.h"

#include <stddef.h>

/* *ret is the text of the grammar, terminated, to be freed with weir_free.
 * 0; -EINVAL: not JSON, not a schema, or nothing can satisfy it; -ENOTSUP: a keyword that is not
 * understood; -E2BIG: too large or too deep; -ENOMEM.  Any thread. */
int weir_schema_to_gbnf(const char *json, size_t n, char **ret, struct weir_err *err);

#endif
