/* SPDX-License-Identifier: MIT
 * Owns the plan of a model of which only the header is here. */
#include "config.h"

#include "src/cmd/pull_plan.h"

#include "base/mem.h"
#include "base/num.h"
#include "prefetch/io.h"
#include "src/cmd/cmd.h"
#include "src/cmd/report.h"
#include "src/run/rates.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB         (UINT64_C(1) << 20)
#define ROUNDS      4 /* 2, 8, 32, 128 MiB of the first file, half of that of others */
#define PROBE_BYTES (256 * MIB)

struct look {
    struct weir_fetch *fetch;
    const struct weir_files *files;
    char *const *urls, *const *texts;
    char folder[PATH_MAX];
    int *fds;
    struct weir_fetch_info *infos;
    struct weir_fetch_part *parts;
};

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int path_of(const struct look *l, size_t i, char path[PATH_MAX], struct weir_err *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", l->folder, base_of(l->files->at[i].path)) >= PATH_MAX)
        return weir_fail(err, -ENAMETOOLONG, "%s: too long a path", l->folder);
    return 0;
}

static int put_text(struct look *l, size_t i, const char *path, struct weir_err *err)
{
    const size_t n = (size_t)l->files->at[i].bytes;
    l->fds[i] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (l->fds[i] < 0 || pwrite(l->fds[i], l->texts[i], n, 0) != (ssize_t)n)
        return weir_fail(err, -EIO, "%s: cannot write it", path);
    return 0;
}

static int make_files(struct look *l, struct weir_err *err)
{
    for (size_t i = 0; i < l->files->n; i++) {
        char path[PATH_MAX];
        int r = path_of(l, i, path, err);
        if (r == 0 && l->texts[i])
            r = put_text(l, i, path, err);
        if (r == 0 && l->texts[i])
            continue;
        if (r == 0)
            r = weir_fetch_probe(l->fetch, l->urls[i], &l->infos[i], err);
        if (r < 0)
            return r;
        if (!l->infos[i].ranges)
            return weir_fail(err, -ENOSYS, "the server does not send parts of files");
        if (l->infos[i].bytes != l->files->at[i].bytes)
            return weir_fail(err, -EBADMSG, "%s: the server's file has %llu bytes, expected %llu",
                             l->files->at[i].path, (unsigned long long)l->infos[i].bytes,
                             (unsigned long long)l->files->at[i].bytes);
        l->fds[i] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (l->fds[i] < 0 || ftruncate(l->fds[i], (off_t)l->infos[i].bytes))
            return weir_fail(err, -errno, "%s: cannot write: %s", path, strerror(errno));
    }
    return 0;
}

static void remove_files(struct look *l)
{
    for (size_t i = 0; i < l->files->n; i++) {
        char path[PATH_MAX];
        if (l->fds[i] < 0)
            continue;
        close(l->fds[i]);
        if (path_of(l, i, path, NULL) == 0)
            unlink(path);
    }
    rmdir(l->folder);
}

/* Bring what round ROUND wants.  *ret_all: there is no more to bring. */
static int bring(struct look *l, unsigned round, bool *ret_all, struct weir_err *err)
{
    *ret_all = true;
    for (size_t i = 0; i < l->files->n; i++) {
        struct weir_fetch_part *p = &l->parts[i];
        const uint64_t upto = weir_min_u64((i ? MIB : 2 * MIB) << (2 * round), l->infos[i].bytes);
        char magic[4];
        if (l->texts[i])
            continue;
        *p = (struct weir_fetch_part){ 0, upto, p->done };
        int r =
            weir_fetch_parts(l->fetch, l->urls[i], &l->infos[i], l->fds[i], p, 1, NULL, NULL, err);
        if (r < 0)
            return r;
        if (weir_path_is_gguf(l->files->at[i].path) &&
            (pread(l->fds[i], magic, 4, 0) != 4 || memcmp(magic, "GGUF", 4)))
            return weir_fail(err, -EINVAL, "%s is no GGUF file: it does not begin with GGUF",
                             l->files->at[i].path);
        *ret_all = *ret_all && upto == l->infos[i].bytes;
    }
    return 0;
}

/* Measure the disk on a file that has no holes, if it is not known yet. */
static void measure_disk(const struct look *l, const struct weir_args *a)
{
    static uint8_t block[1 << 20];
    const struct weir_io_ops *io = weir_io_by_name(strcmp(a->io, "auto") ? a->io : "uring");
    struct weir_machine m;
    struct weir_io_file f;
    char path[PATH_MAX + 8];
    bool cached;
    weir_machine_probe(&m);
    if (!io || io->view ||
        weir_files_bytes(l->files) < (a->ram_bytes ? a->ram_bytes : m.mem_free) / 2)
        return;
    snprintf(path, sizeof(path), "%s/probe", l->folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (weir_io_file_open(fd, path, true, &f, NULL) == 0) {
        bool good = !weir_rates_disk_known(io, &f);
        weir_io_file_close(&f);
        uint64_t x = 88172645463325252u;
        for (size_t k = 0; good && k < sizeof(block); k += 8) { /* no disk can fold this */
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            memcpy(block + k, &x, 8);
        }
        for (uint64_t at = 0; good && at < PROBE_BYTES; at += sizeof(block))
            good = pwrite(fd, block, sizeof(block), (off_t)at) == (ssize_t)sizeof(block);
        if (good && !fsync(fd) && weir_io_file_open(fd, path, true, &f, NULL) == 0) {
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            weir_rates_disk(&m, io, &f, false, &cached);
            weir_io_file_close(&f);
        }
    }
    close(fd);
    unlink(path);
}

/* Open what is here of the model as far as it goes. */
static int open_model(struct look *l, const struct weir_args *a, struct weir_engine **ret,
                      struct weir_err *err)
{
    char path[PATH_MAX];
    struct weir_engine_opts o = weir_cmd_engine_opts(a);
    int r = path_of(l, 0, path, err);
    o.path = path;
    for (unsigned round = 0; r == 0; round++) {
        bool all;
        r = bring(l, round, &all, err);
        if (r < 0)
            break;
        r = weir_engine_open(&o, ret, err);
        if (r == 0)
            (*ret)->opts.path = l->files->at[0].path; /* PATH ends here */
        if (r == 0 || r == -ENOTSUP || all || round + 1 == ROUNDS)
            break;
        r = 0;
    }
    return r;
}

static int plan(struct look *l, const struct weir_args *a, struct weir_err *err)
{
    struct weir_engine *e = NULL;
    int r = open_model(l, a, &e, err);
    if (r == 0) {
        measure_disk(l, a);
        r = weir_engine_plan(e, 0, false, err);
    }
    if (r == 0 && a->dry_run)
        weir_report_plan(stdout, e);
    else if (r == 0 && !a->quiet)
        weir_report_start(e);
    weir_engine_free(e);
    return r;
}

int weir_pull_plan(struct weir_fetch *f, const char *root, const struct weir_files *files,
                   char *const *urls, char *const *texts, const struct weir_args *a,
                   struct weir_err *err)
{
    struct look l = { .fetch = f, .files = files, .urls = urls, .texts = texts };
    int r = 0;
    if (weir_path_kind(files->at[0].path) == WEIR_FILE_TORCH)
        return weir_fail(err, -ENOSYS, "a PyTorch file can be read only when it is whole");
    if (snprintf(l.folder, sizeof(l.folder), "%s/.plan-XXXXXX", root) >= PATH_MAX)
        return weir_fail(err, -ENAMETOOLONG, "%s: too long a path", root);
    if (!mkdtemp(l.folder))
        return weir_fail(err, -errno, "%s: cannot make a folder in it: %s", root, strerror(errno));
    l.fds = weir_alloc(WEIR_MEM_MISC, files->n, sizeof(*l.fds));
    l.infos = weir_alloc(WEIR_MEM_MISC, files->n, sizeof(*l.infos));
    l.parts = weir_alloc(WEIR_MEM_MISC, files->n, sizeof(*l.parts));
    if (l.fds && l.infos && l.parts) {
        for (size_t i = 0; i < files->n; i++)
            l.fds[i] = -1;
        r = make_files(&l, err);
        if (r == 0)
            r = plan(&l, a, err);
        remove_files(&l);
    } else {
        r = weir_fail(err, -ENOMEM, "no memory for %zu files", files->n);
        rmdir(l.folder);
    }
    weir_free(l.fds);
    weir_free(l.infos);
    weir_free(l.parts);
    return r;
}
