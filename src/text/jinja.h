/* SPDX-License-Identifier: MIT
 *
 * Jinja2 templates, as chat templates use them: the language of Python's jinja2 in the sandbox that
 * models are published for (immutable values, trim_blocks, lstrip_blocks, break and continue,
 * {% generation %}, tojson without HTML escapes, raise_exception, strftime_now).
 *
 * A template is somebody else's program: its memory, steps, depth and output are bounded, and it
 * can reach nothing but the values it is given.  Whatever is wrong becomes one sentence with a line
 * number.  Source: https://jinja.palletsprojects.com, the reference is jinja2 3.1.
 *
 * One thread for each pool. */
#ifndef WEIR_TEXT_JINJA_H
#define WEIR_TEXT_JINJA_H

#include "src/text/value.h"

#include <time.h>

struct weir_jinja_opts {
    uint64_t bytes_max;   /* of memory, 0: 256 MiB */
    uint64_t steps_max;   /* of work, 0: 50 million */
    uint64_t output_max;  /* bytes of text, 0: 64 MiB */
    uint32_t depth_max;   /* of what calls itself, 0: 400 */
    const struct tm *now; /* for strftime_now; NULL: it is an error */
};

/* Fill in the defaults and make P ready.  weir_vpool_done(p) after. */
void weir_jinja_init(struct weir_vpool *p, struct weir_jinja_opts *o);

/* Text, and which bytes of it came from the conversation. */
struct weir_jinja_out {
    char *text; /* terminated; weir_free */
    size_t n;
    struct weir_vspan *said; /* [n_said], in order, apart from each other; weir_free */
    size_t n_said;
};
void weir_jinja_out_done(struct weir_jinja_out *out);

/* Render the template (N bytes of TEXT) with the variables VARS, a DICT in P.  TEXT and what VARS
 * points to must outlive the call.
 * 0 with *RET; -EINVAL: the template is wrong, or raised, or met a limit; -ENOMEM. */
int weir_jinja_render(struct weir_vpool *p, const struct weir_jinja_opts *o, const char *text,
                      size_t n, struct weir_val vars, struct weir_jinja_out *ret,
                      struct weir_err *err);

#endif
