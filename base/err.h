/* SPDX-License-Identifier: MIT
 *
 * How every function of this project says what went wrong.
 *
 * A function that can fail returns 0 or a negative errno, and takes `struct weir_err *err` as its
 * last parameter.  On failure *err holds one sentence that names the thing (file, tensor, option)
 * and both values (found, expected), and a hint when there is one.  On success it is untouched.
 * Library code never prints and never exits; the commands in src/cmd do. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

struct weir_err {
    int code;      /* the negative errno that was returned, 0 if nothing failed */
    char msg[512]; /* one sentence, no newline, always terminated */
};

/* Fill *err (which may be NULL) and return CODE, so that a caller can write
 * `return weir_fail(err, -EINVAL, "...")`.  Control characters that came from a file are made
 * visible, so that a message can always be shown on a terminal. */
int weir_fail(struct weir_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
