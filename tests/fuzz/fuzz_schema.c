/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for JSON Schemas: what the converter makes of one must be a grammar, or too large
 * for one, or one that never ends (a schema that only refers to itself), or names that are not
 * UTF-8. */
#include "config.h"

#include "base/mem.h"
#include "src/text/gbnf.h"
#include "src/text/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_err err = { 0 };
    struct weir_gbnf *g = NULL;
    char *text = NULL;
    if (weir_schema_to_gbnf((const char *)data, size, &text, &err) < 0)
        return 0;
    const int r = weir_gbnf_parse(text, strlen(text), &g, &err);
    if (r < 0 && r != -E2BIG && !strstr(err.msg, "never ends") && !strstr(err.msg, "begin with") &&
        !strstr(err.msg, "UTF-8")) {
        fprintf(stderr, "%s\n%s\n", err.msg, text);
        abort();
    }
    weir_free(text);
    weir_gbnf_free(r == 0 ? g : NULL);
    return 0;
}
