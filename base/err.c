/* SPDX-License-Identifier: MIT
 * Owns the making of error sentences.  Any thread. */
#include "config.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int weir_fail(struct weir_err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        err->code = code;
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        /* Names come from hostile files: an escape sequence must not reach a terminal. */
        for (char *p = err->msg; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                *p = '?';
    }
    return code;
}
