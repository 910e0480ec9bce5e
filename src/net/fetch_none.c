/* SPDX-License-Identifier: MIT
 * Owns the answer of a build without libcurl: no. */
#include "config.h"

#include "src/net/fetch.h"

#include <errno.h>

#if !HAVE_LIBCURL

bool weir_fetch_available(void) { return false; }

static int missing(struct weir_err *err)
{
    return weir_fail(err, -ENOSYS, "this weir was built without libcurl, so it cannot download");
}

int weir_fetch_new(const struct weir_fetch_opts *opts, struct weir_fetch **ret,
                   struct weir_err *err)
{
    (void)opts, (void)ret;
    return missing(err);
}

void weir_fetch_free(struct weir_fetch *f) { (void)f; }

int weir_fetch_text(struct weir_fetch *f, const char *url, size_t max, char **ret, size_t *ret_n,
                    char ret_next[WEIR_FETCH_URL_MAX], struct weir_err *err)
{
    (void)f, (void)url, (void)max, (void)ret, (void)ret_n, (void)ret_next;
    return missing(err);
}

int weir_fetch_probe(struct weir_fetch *f, const char *url, struct weir_fetch_info *ret,
                     struct weir_err *err)
{
    (void)f, (void)url, (void)ret;
    return missing(err);
}

int weir_fetch_parts(struct weir_fetch *f, const char *url, const struct weir_fetch_info *info,
                     int fd, struct weir_fetch_part *parts, size_t n_part, void (*tick)(void *arg),
                     void *arg, struct weir_err *err)
{
    (void)f, (void)url, (void)info, (void)fd, (void)parts, (void)n_part, (void)tick, (void)arg;
    return missing(err);
}

#endif
