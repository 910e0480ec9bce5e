/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for the JSON reader. */
#include "config.h"

#include "base/jread.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_jread r;
    enum weir_json_event ev;
    uint8_t *text = malloc(size + 1);
    uint32_t deepest = 0;
    if (!text)
        return 0;
    for (int python = 0; python < 2; python++) {
        weir_jread_init(&r, data, size);
        r.python = python;
        while ((ev = weir_jread_next(&r)) > WEIR_JSON_DONE) {
            int64_t v;
            if ((ev == WEIR_JSON_STR || ev == WEIR_JSON_KEY) && weir_jread_text(&r, text) > r.n)
                abort();
            if (ev == WEIR_JSON_INT)
                (void)weir_jread_i64(&r, &v);
            if (ev == WEIR_JSON_INT || ev == WEIR_JSON_REAL)
                (void)weir_jread_double(&r);
            deepest = r.depth > deepest ? r.depth : deepest;
        }
        if (r.pos > size || deepest > WEIR_JREAD_MAX_DEPTH || (ev == WEIR_JSON_BAD) != !!r.what)
            abort();
    }
    weir_jread_init(&r, data, size);
    if ((ev = weir_jread_next(&r)) > WEIR_JSON_DONE && weir_jread_skip(&r, ev) &&
        weir_jread_next(&r) > WEIR_JSON_DONE)
        abort(); /* after a value comes the end, or an error */
    free(text);
    return 0;
}
