/* SPDX-License-Identifier: MIT
 * Owns where the model that comes along is looked for. */
#include "config.h"

#include "src/cmd/companion.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INSTALLED WEIR_PKGDATADIR "/weir.gguf"
#define BESIDE    "/models/weir.gguf"

/* The path of models/weir.gguf in the folder of this program. */
static bool beside(char buf[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);
    if (n <= 0)
        return false;
    buf[n] = 0;
    char *end = strrchr(buf, '/');
    if (!end || (size_t)(end - buf) + sizeof(BESIDE) > PATH_MAX)
        return false;
    memcpy(end, BESIDE, sizeof(BESIDE));
    return true;
}

int weir_companion_find(struct weir_args *a, char buf[PATH_MAX], struct weir_err *err)
{
    const char *named = getenv("WEIR_MODEL");
    if (named && *named) {
        a->model = named;
        if (!a->quiet)
            fprintf(stderr, "weir: no MODEL given: using WEIR_MODEL, %s\n", named);
        return 0;
    }
    const bool known = beside(buf);
    if (known && !access(buf, R_OK))
        a->model = buf;
    else if (!access(INSTALLED, R_OK))
        a->model = INSTALLED;
    else
        return weir_fail(err, -ENOENT,
                         "which model? name a .gguf file or its folder (the small model that comes "
                         "with weir is neither %s nor %s)",
                         known ? buf : "beside the program", INSTALLED);
    if (!a->quiet)
        fprintf(stderr, "weir: no MODEL given: using the small model that comes with weir, %s\n",
                a->model);
    return 0;
}
