/* SPDX-License-Identifier: MIT
 *
 * Owns the cache of measured rates, and the disk's.  The file is only a cache: whatever is wrong
 * with it, we measure again and write a new one.  One thread. */
#include "config.h"

#include "src/run/rates.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "kernels/kernels.h"
#include "prefetch/probe.h"
#include "src/run/rates_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PROBE_BYTES  (UINT64_C(512) << 20)
#define SLOWDOWN_MAX 4.0
#define DEEPER       1.15 /* more reads in flight are worth it from here on: disks are noisy */

/* $XDG_CACHE_HOME/weir/ and the file; false when there is no home. */
static bool cache_path(char *buf, size_t n, bool make)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char dir[4000];
    int len;
    if (xdg && xdg[0] == '/')
        len = snprintf(dir, sizeof(dir), "%s", xdg);
    else if (home && home[0] == '/')
        len = snprintf(dir, sizeof(dir), "%s/.cache", home);
    else
        return false;
    if (len < 0 || (size_t)len >= sizeof(dir) - 8)
        return false;
    if (make)
        mkdir(dir, 0700);
    strcat(dir, "/weir");
    if (make)
        mkdir(dir, 0700);
    return snprintf(buf, n, "%s/" WEIR_RATES_FILE, dir) < (int)n;
}

static weir_json *load(void)
{
    char path[4096], *text;
    size_t n;
    weir_json *j = NULL;
    if (cache_path(path, sizeof(path), false) && !weir_file_read(path, 1 << 20, &text, &n, NULL)) {
        weir_json_parse(text, n, &j, NULL);
        weir_free(text);
    }
    return j;
}

double weir_rates_recall(const char *key)
{
    weir_json *j = load();
    const double v = weir_json_num(weir_json_get(j, key), 0);
    weir_json_free(j);
    return v > 0 && v < 1e15 ? v : 0;
}

void weir_rates_remember(const char *key, double value)
{
    char path[4096];
    weir_json *old = load(), *new = weir_json_object();
    int kept = 0;
    if (old)
        for (weir_json *c = weir_json_first(old); c && kept < 256; c = weir_json_next(c)) {
            const char *name = weir_json_name(c);
            if (name && strcmp(name, key) && weir_json_num(c, 0) > 0) {
                weir_json_add_num(new, name, weir_json_num(c, 0));
                kept++;
            }
        }
    weir_json_add_num(new, key, value);
    char *text = weir_json_print(new, true);
    struct weir_outfile f;
    if (text && cache_path(path, sizeof(path), true) && !weir_outfile_open(&f, path, NULL)) {
        fputs(text, f.stream);
        fputc('\n', f.stream);
        weir_outfile_commit(&f, NULL);
    }
    free(text);
    weir_json_free(old);
    weir_json_free(new);
}

static bool disk_key(char *buf, size_t n, const struct weir_io_ops *io,
                     const struct weir_io_file *f)
{
    struct stat st;
    if (fstat(f->fd, &st))
        return false;
    snprintf(buf, n, "disk %u:%u %s%s", major(st.st_dev), minor(st.st_dev), io->name,
             f->direct ? " direct" : "");
    return true;
}

void weir_rates_disk(struct weir_machine *m, const struct weir_io_ops *io,
                     const struct weir_io_file *f, bool force, bool *ret_cached)
{
    char key[128], depth_key[140];
    double rate = 0, deep = 0;
    *ret_cached = false;
    if (!disk_key(key, sizeof(key), io, f))
        return;
    snprintf(depth_key, sizeof(depth_key), "%s depth", key);
    m->disk_depth = (unsigned)weir_rates_recall(depth_key);
    if (!force && (rate = weir_rates_recall(key)) > 0) {
        *ret_cached = true;
        m->disk_rate = rate;
        return;
    }
    if (io->view || weir_probe_disk(io, f, WEIR_PROBE_DEPTH, PROBE_BYTES, &rate, NULL))
        return;
    /* One disk is saturated by few reads of megabytes; an array of them may want more. */
    m->disk_depth = WEIR_PROBE_DEPTH;
    if (!weir_probe_disk(io, f, WEIR_PROBE_DEPTH_MAX, PROBE_BYTES, &deep, NULL) &&
        deep > rate * DEEPER) {
        m->disk_depth = WEIR_PROBE_DEPTH_MAX;
        rate = deep;
    }
    m->disk_rate = rate;
    weir_rates_remember(key, rate);
    weir_rates_remember(depth_key, m->disk_depth);
}

static bool slowdown_key(char *buf, size_t n, const struct weir_io_ops *io,
                         const struct weir_io_file *f, const struct weir_pool *pool)
{
    char disk[96];
    if (!disk_key(disk, sizeof(disk), io, f))
        return false;
    snprintf(buf, n, "slowdown %s %u threads beside %s", weir_kernels()->name, weir_pool_size(pool),
             disk);
    return true;
}

void weir_rates_stream(struct weir_machine *m, const struct weir_io_ops *io,
                       const struct weir_io_file *f, const struct weir_pool *pool)
{
    char key[160];
    if (slowdown_key(key, sizeof(key), io, f, pool))
        m->stream_slowdown = weir_rates_recall(key);
}

void weir_rates_stream_learn(const struct weir_machine *m, const struct weir_io_ops *io,
                             const struct weir_io_file *f, const struct weir_pool *pool,
                             double factor)
{
    char key[160];
    const double old = m->stream_slowdown > 0 ? m->stream_slowdown : 1;
    const double new = old *(1 + factor) / 2;
    /* Beyond that something else was going on. */
    if (new < SLOWDOWN_MAX && slowdown_key(key, sizeof(key), io, f, pool))
        weir_rates_remember(key, new > 1 ? new : 1);
}

bool weir_rates_disk_known(const struct weir_io_ops *io, const struct weir_io_file *f)
{
    char key[128];
    return disk_key(key, sizeof(key), io, f) && weir_rates_recall(key) > 0;
}

void weir_rates_disk_learn(const struct weir_io_ops *io, const struct weir_io_file *f,
                           double bytes_per_s)
{
    char key[128];
    if (disk_key(key, sizeof(key), io, f))
        weir_rates_remember(key, bytes_per_s);
}
