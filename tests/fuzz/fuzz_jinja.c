/* SPDX-License-Identifier: MIT
 *
 * Templates as hostile files: the input is a template and, after a zero byte, JSON for its
 * variables.  Whatever they are, rendering gives text or one sentence, within small limits, and the
 * ranges it gives lie inside the text.
 *
 *     make fuzz_jinja && ./fuzz_jinja CORPUS */
#include "config.h"

#include "src/text/chat.h"
#include "src/text/jinja.h"
#include "src/text/value_text.h"

#include <stdint.h>
#include <string.h>

static const char variables[] =
    "{\"s\": \"Hello <b>\", \"n\": 3, \"f\": 2.5, \"l\": [3, 1, 2], \"d\": {\"a\": 1, \"b\": "
    "[true]},"
    " \"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\":"
    " \"\\u00fc \\ud83d\\ude00\"}], \"tools\": [{\"function\": {\"name\": \"f\", \"x\": null}}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tm now = { .tm_year = 124, .tm_mday = 1 };
    struct weir_jinja_opts o = {
        .bytes_max = 16 << 20, .steps_max = 300000, .output_max = 1 << 20, .now = &now
    };
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    const size_t n = zero ? (size_t)(zero - text) : size;
    const char *json = zero ? zero + 1 : variables;
    const size_t n_json = zero ? size - n - 1 : sizeof(variables) - 1;
    struct weir_vpool p;
    struct weir_val vars;
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    weir_jinja_init(&p, &o);
    if (!weir_val_from_json(&p, "input", json, n_json, &vars, &err) &&
        !weir_jinja_render(&p, &o, text, n, vars, &out, &err)) {
        size_t at = 0;
        for (size_t i = 0; i < out.n_said; i++) {
            if (out.said[i].start < at || out.said[i].end <= out.said[i].start ||
                out.said[i].end > out.n)
                __builtin_trap();
            at = out.said[i].end;
        }
    } else if (!err.msg[0]) {
        __builtin_trap();
    }
    weir_jinja_out_done(&out);
    weir_vpool_done(&p);
    return 0;
}
