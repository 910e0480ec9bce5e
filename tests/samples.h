/* SPDX-License-Identifier: MIT
 *
 * Sample files, and what opening them must and must not do.  A header, because every program of
 * tests/ is one file. */
#ifndef WEIR_TESTS_SAMPLES_H
#define WEIR_TESTS_SAMPLES_H

#include "base/mem.h"
#include "mmap/map.h"
#include "tests/tap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FOLDER/NAME in one of a few buffers that take turns. */
static inline const char *in(const char *folder, const char *name)
{
    static char buf[16][4096];
    static unsigned turn;
    char *p = buf[turn++ % 16];
    snprintf(p, sizeof(buf[0]), "%s/%s", folder, name);
    return p;
}

/* The whole file, from malloc, and a zero byte; NULL, and 0 bytes: it cannot be read. */
static inline void *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    *ret_n = 0;
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    char *p = malloc((size_t)n + 1);
    *ret_n = fread(p, 1, (size_t)n, f);
    p[*ret_n] = 0;
    fclose(f);
    return p;
}

static inline void spit(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
        perror(path);
        exit(99);
    }
}

static inline void copy(const char *from, const char *to)
{
    size_t n = 0;
    void *p = slurp(from, &n);
    if (!p) {
        perror(from);
        exit(99);
    }
    spit(to, p, n);
    free(p);
}

static inline struct weir_map *must_open(const char *path)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    const int rc = weir_map_open(path, &m, &err);
    if (!ok(!rc && m, "%s opens%s%s", path + (strlen(path) > 32 ? strlen(path) - 32 : 0),
            rc ? ": " : "", err.msg))
        exit(done());
    return m;
}

/* Refused with CODE and one sentence that begins with the folder of the file and has WORDS
 * ("a|b|c"); nothing is left behind. */
static inline void refused(const char *path, int code, const char *words)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    char list[256], *save = NULL, missing[256] = "";
    const char *name = strrchr(path, '/') + 1;
    const uint64_t before = weir_mem_used(WEIR_MEM_MISC);
    const int rc = weir_map_open(path, &m, &err);
    snprintf(list, sizeof(list), "%s", words);
    for (char *w = strtok_r(list, "|", &save); w; w = strtok_r(NULL, "|", &save))
        if (!strstr(err.msg, w))
            snprintf(missing, sizeof(missing), "; no \"%s\"", w);
    if (strncmp(err.msg, path, (size_t)(name - path)))
        snprintf(missing, sizeof(missing), "; no file name");
    ok(rc == code && err.code == code && !m && !*missing && !strchr(err.msg, '\n') &&
           weir_mem_used(WEIR_MEM_MISC) == before,
       "%s is refused (%d%s): %s", name, rc, missing, err.msg);
    weir_map_close(m);
}

#endif
