/* SPDX-License-Identifier: MIT
 * Owns `weir pull`: which files a name stands for, and bringing them into the store. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/cmd/cmd.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/progress.h"
#include "src/cmd/pull_plan.h"
#include "src/net/download.h"
#include "src/net/hub.h"
#include "src/net/store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PARTS_MAX 1000 /* of a split model */

struct pull {
    const struct weir_args *a;
    struct weir_hub hub;
    struct weir_fetch *fetch;
    char root[PATH_MAX];
    struct weir_model_name name;
    struct weir_files files;
    char **urls;  /* [files.n] */
    char **texts; /* [files.n], the bytes of those that are WEIR_FILE_TEXT, when one is missing */
    struct weir_progress progress;
    size_t current;
    const struct weir_download *download;
    const char *doing; /* what `show` was told last of this file, or NULL */
};

static bool is_url(const char *s)
{
    return !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8);
}

static int set_url(struct pull *p, size_t i, const char *url, struct weir_err *err)
{
    p->urls[i] = weir_strndup(WEIR_MEM_MISC, url, strlen(url));
    return p->urls[i] ? 0 : weir_fail(err, -ENOMEM, "no memory for an address");
}

static int room_for_urls(struct pull *p, size_t n, struct weir_err *err)
{
    p->urls = weir_alloc(WEIR_MEM_MISC, n, sizeof(*p->urls));
    p->texts = weir_alloc(WEIR_MEM_MISC, n, sizeof(*p->texts));
    return p->urls && p->texts ? 0 : weir_fail(err, -ENOMEM, "no memory for %zu addresses", n);
}

/* The files of a name on the hub. */
static int files_of_name(struct pull *p, struct weir_err *err)
{
    char url[WEIR_HUB_URL_MAX];
    int r = weir_hub_files(&p->hub, p->fetch, p->name.repo, &p->files, err);
    if (r == 0)
        r = weir_files_pick(&p->files, p->a->model, p->name.tag, err);
    if (r == 0)
        r = room_for_urls(p, p->files.n, err);
    for (size_t i = 0; r == 0 && i < p->files.n; i++) {
        r = weir_hub_url(&p->hub, p->name.repo, p->files.at[i].path, url, err);
        if (r == 0)
            r = set_url(p, i, url, err);
    }
    return r;
}

/* N bytes of S as a word of a model's name. */
static void to_word(char *buf, size_t size, const char *s, size_t n)
{
    size_t at = 0;
    for (; at < n && at + 1 < size && at < 96; at++)
        buf[at] = isalnum((unsigned char)s[at]) || (at && strchr("._-", s[at])) ? s[at] : '_';
    buf[at] = 0;
}

/* The SHA-256 that a hub tells when it redirects to a file, in BUF; else NULL. */
static const char *sha256_of(const struct weir_fetch_info *info, char buf[WEIR_SHA256_STR])
{
    const size_t n = WEIR_SHA256_STR - 1;
    if (!info->linked || strlen(info->etag) != n + 2 ||
        strspn(info->etag + 1, "0123456789abcdef") != n)
        return NULL;
    memcpy(buf, info->etag + 1, n);
    buf[n] = 0;
    return buf;
}

/* Part NO of OF of the file at the address that the user gave. */
static int add_address(struct pull *p, const char *file, size_t file_bytes, unsigned no,
                       unsigned of, struct weir_err *err)
{
    struct weir_fetch_info info;
    char name[512], url[WEIR_HUB_URL_MAX], tail[40], sha[WEIR_SHA256_STR];
    const char *given = p->a->model;
    const size_t i = p->files.n, before = (size_t)(file - given);
    snprintf(name, sizeof(name), "%.*s", (int)file_bytes, file);
    if (of > 1) { /* the number is at a fixed place of the name */
        const size_t stem = weir_path_stem(name);
        snprintf(tail, sizeof(tail), "-%05u-of-%05u", no, of);
        memcpy(name + stem, tail, strlen(tail));
    }
    if (snprintf(url, sizeof(url), "%.*s%s%s", (int)before, given, name, file + file_bytes) >=
        (int)sizeof(url))
        return weir_fail(err, -EINVAL, "the address has %zu bytes, more than %d", strlen(given),
                         WEIR_HUB_URL_MAX - 1);
    int r = weir_fetch_probe(p->fetch, url, &info, err);
    if (r == 0)
        r = weir_files_add(&p->files, name, info.bytes, sha256_of(&info, sha), err);
    return r < 0 ? r : set_url(p, i, url, err);
}

/* The file at an address, and its siblings when it is part of a split model. */
static int files_of_address(struct pull *p, struct weir_err *err)
{
    const char *given = p->a->model, *host = strstr(given, "://") + 3;
    const size_t path_bytes = strcspn(given, "?#"), host_bytes = strcspn(host, "/?#");
    char name[512], owner[100], repo[100];
    unsigned no;
    const char *file = given + path_bytes;
    while (file > host && file[-1] != '/')
        file--;
    const size_t file_bytes = (size_t)(given + path_bytes - file);
    if (memchr(host, '@', host_bytes))
        return weir_fail(err, -EINVAL, "an address with a user name in it is refused");
    if (file <= host || file_bytes >= sizeof(name))
        return weir_fail(err, -EINVAL, "%.100s names no file of at most %zu bytes", given,
                         sizeof(name) - 1);
    snprintf(name, sizeof(name), "%.*s", (int)file_bytes, file);
    if (!weir_path_is_gguf(name))
        return weir_fail(err, -EINVAL, "%.200s does not end in .gguf", name);
    const unsigned of = weir_path_parts(name, &no);
    if (of > PARTS_MAX)
        return weir_fail(err, -EINVAL, "%.200s has %u parts, more than %d", name, of, PARTS_MAX);
    to_word(owner, sizeof(owner), host, host_bytes);
    to_word(repo, sizeof(repo), name, weir_path_stem(name));
    snprintf(p->name.repo, sizeof(p->name.repo), "%s/%s", owner, repo);
    int r = room_for_urls(p, of, err);
    for (unsigned i = 1; r == 0 && i <= of; i++)
        r = add_address(p, file, file_bytes, i, of, err);
    return r;
}

/* Open the folder file I belongs into; *ret_base is its name there. */
static int folder_of(const struct pull *p, size_t i, const char **ret_base, struct weir_err *err)
{
    char folder[PATH_MAX];
    const char *path = p->files.at[i].path, *slash = strrchr(path, '/');
    *ret_base = slash ? slash + 1 : path;
    snprintf(folder, sizeof(folder), "%s%s%.*s", p->name.repo, slash ? "/" : "",
             slash ? (int)(slash - path) : 0, path);
    return weir_store_folder(p->root, folder, true, err);
}

/* Is file I in the store already? */
static bool is_here(const struct pull *p, size_t i)
{
    char path[2 * PATH_MAX];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s/%s", p->root, p->name.repo, p->files.at[i].path);
    return !lstat(path, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == p->files.at[i].bytes;
}

/* Is there room for all that is not here?  weir_download_run asks again for each
 * file. */
static int check_room(const struct pull *p, struct weir_err *err)
{
    char path[2 * PATH_MAX], a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    uint64_t need = 0;
    struct statvfs v;
    struct stat st;
    if (statvfs(p->root, &v))
        return 0; /* the disk will tell */
    for (size_t i = 0; i < p->files.n; i++) {
        uint64_t bytes = is_here(p, i) ? 0 : p->files.at[i].bytes;
        snprintf(path, sizeof(path), "%s/%s/%s.part", p->root, p->name.repo, p->files.at[i].path);
        if (bytes && !lstat(path, &st))
            bytes -= weir_min_u64(bytes, (uint64_t)st.st_blocks * 512);
        if (weir_add_over(need, bytes, &need))
            need = UINT64_MAX;
    }
    const uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (need > room)
        return weir_fail(err, -ENOSPC, "%s: needs %s more on the disk of %s, which has %s free",
                         p->a->model, weir_size_format(need, a, sizeof(a)), p->root,
                         weir_size_format(room, b, sizeof(b)));
    return 0;
}

static void show(void *arg, const char *what, uint64_t done, uint64_t total)
{
    struct pull *p = arg;
    char line[96];
    if (p->files.n > 1)
        snprintf(line, sizeof(line), "%s %zu of %zu", what, p->current + 1, p->files.n);
    else
        snprintf(line, sizeof(line), "%s", what);
    if (what != p->doing) { /* each thing has a rate of its own */
        weir_progress_wipe(&p->progress);
        weir_progress_init(&p->progress, p->a->quiet);
        p->progress.base = p->doing ? 0 : p->download->resumed_bytes;
        p->doing = what;
    }
    weir_progress_show(&p->progress, line, done, total, "B");
}

/* Bring the small files of a folder, which are needed to tell a plan. */
static int fetch_texts(struct pull *p, struct weir_err *err)
{
    int r = 0;
    for (size_t i = 0; i < p->files.n && r == 0; i++) {
        const struct weir_file *f = &p->files.at[i];
        struct weir_sha256 s;
        char hex[WEIR_SHA256_STR];
        size_t n;
        if (weir_path_kind(f->path) != WEIR_FILE_TEXT)
            continue;
        r = weir_fetch_text(p->fetch, p->urls[i], (size_t)f->bytes, &p->texts[i], &n, NULL, err);
        if (r < 0)
            break;
        if (n != f->bytes)
            r = weir_fail(err, -EBADMSG, "%s: the server sent %zu bytes, expected %llu", f->path, n,
                          (unsigned long long)f->bytes);
        weir_sha256_init(&s);
        weir_sha256_add(&s, p->texts[i], n);
        weir_sha256_hex(&s, hex);
        if (r == 0 && f->sha256[0] && strcmp(hex, f->sha256))
            r = weir_fail(err, -EBADMSG, "%s: what came has SHA-256 %s, expected %s", f->path, hex,
                          f->sha256);
    }
    return r;
}

static int fetch_file(struct pull *p, size_t i, struct weir_err *err)
{
    const struct weir_file *file = &p->files.at[i];
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    struct weir_download d = {
        .url = p->urls[i], .bytes = file->bytes, .sha256 = file->sha256, .show = show, .arg = p
    };
    if (is_here(p, i)) {
        if (!p->a->quiet)
            fprintf(stderr, "weir: %s is here already\n", file->path);
        return 0;
    }
    d.folder = folder_of(p, i, &d.name, err);
    if (d.folder < 0)
        return d.folder;
    if (p->texts[i]) {
        const int put = weir_download_put(d.folder, d.name, p->texts[i], (size_t)file->bytes, err);
        close(d.folder);
        return put;
    }
    p->current = i;
    p->download = &d;
    p->doing = NULL;
    weir_progress_init(&p->progress, p->a->quiet);
    const int r = weir_download_run(p->fetch, &d, err);
    weir_progress_wipe(&p->progress);
    close(d.folder);
    if (r == 0 && d.resumed_bytes && !p->a->quiet)
        fprintf(stderr, "weir: %s: went on at %s of %s\n", file->path,
                weir_size_format(d.resumed_bytes, a, sizeof(a)),
                weir_size_format(file->bytes, b, sizeof(b)));
    return r;
}

/* Tell how the model would run here.  What cannot be told is no reason not to fetch; what is no
 * model is one. */
static int tell_plan(struct pull *p, struct weir_err *err)
{
    struct weir_err why = { 0 };
    int r = 0;
    r = weir_pull_plan(p->fetch, p->root, &p->files, p->urls, p->texts, p->a, &why);
    if (r == 0)
        return 0;
    if (p->a->dry_run || (r != -EDOM && r != -ENOTSUP && r != -ENOSYS)) {
        *err = why;
        return r;
    }
    fprintf(stderr, "weir: no plan: %s\n", why.msg);
    return 0;
}

static void tell_wait(void *arg, const char *what, unsigned seconds)
{
    struct pull *p = arg;
    weir_progress_wipe(&p->progress);
    if (!p->a->quiet)
        fprintf(stderr, "weir: %s; trying again in %u s\n", what, seconds);
}

static int pull(struct pull *p, struct weir_err *err)
{
    const bool address = !p->name.repo[0];
    char size[WEIR_SIZE_STR];
    int r = weir_store_root(p->root, err);
    const struct weir_fetch_opts o = {
        .connections = (unsigned)p->a->connections,
        .retries = (unsigned)p->a->retries,
        .origin = p->hub.endpoint,
        .token = *p->hub.token ? p->hub.token : NULL,
        .token_from = p->hub.token_from,
        .stop = &weir_interrupted,
        .wait = tell_wait,
        .arg = p,
    };
    if (r == 0)
        r = weir_fetch_new(&o, &p->fetch, err);
    if (r == 0)
        r = address ? files_of_address(p, err) : files_of_name(p, err);
    if (r < 0)
        return r;
    bool here = true;
    for (size_t i = 0; i < p->files.n; i++)
        here = here && is_here(p, i);
    if (!p->a->quiet)
        fprintf(stderr, "weir: %s/%s%s, %s in %zu file%s\n", p->name.repo, p->files.at[0].path,
                p->files.n > 1 ? " and what belongs to it" : "",
                weir_size_format(weir_files_bytes(&p->files), size, sizeof(size)), p->files.n,
                p->files.n > 1 ? "s" : "");
    const int made = weir_store_folder(p->root, "", true, err);
    if (made < 0)
        return made;
    close(made);
    if (!p->a->dry_run)
        r = check_room(p, err);
    if (r == 0 && (!here || p->a->dry_run))
        r = fetch_texts(p, err);
    if (r == 0 && (!here || p->a->dry_run))
        r = tell_plan(p, err);
    for (size_t i = 0; i < p->files.n && r == 0 && !p->a->dry_run; i++)
        r = fetch_file(p, i, err);
    return r;
}

static int run(const struct weir_args *a)
{
    struct weir_err err = { 0 };
    struct pull p = { .a = a };
    char name[WEIR_REPO_STR + WEIR_TAG_STR];
    if (weir_hub_init(&p.hub, &err) < 0)
        return weir_cmd_error(&err);
    if (!weir_hub_name(&p.hub, a->model, &p.name)) {
        p.name = (struct weir_model_name){ 0 };
        if (!is_url(a->model) && !weir_model_name_parse(a->model, &p.name))
            return weir_cmd_usage("pull", "which model? OWNER/REPO, OWNER/REPO:TAG or the http "
                                          "address of a .gguf file");
    }
    weir_interrupt_catch();
    const int r = pull(&p, &err);
    int status = 0;
    if (r == -EINTR) {
        fprintf(stderr, "weir: interrupted; the same command goes on from here\n");
        status = 130;
    } else if (r < 0) {
        status = weir_cmd_error(&err);
    } else {
        if (!a->dry_run)
            printf("%s/%s/%s\n", p.root, p.name.repo, p.files.at[0].path);
        snprintf(name, sizeof(name), "%s%s%s", p.name.repo, *p.name.tag ? ":" : "", p.name.tag);
        if (!a->dry_run && !a->quiet && weir_model_name_parse(name, NULL))
            fprintf(stderr, "weir: its name here is %s\n", name);
        status = weir_cmd_flush();
    }
    for (size_t i = 0; p.urls && p.texts && i < p.files.n; i++) {
        weir_free(p.urls[i]);
        weir_free(p.texts[i]);
    }
    weir_free(p.urls);
    weir_free(p.texts);
    weir_files_done(&p.files);
    weir_fetch_free(p.fetch);
    return status;
}

const struct weir_cmd weir_pull_cmd = {
    .name = "pull",
    .bit = WEIR_CMD_PULL,
    .usage = "NAME",
    .help = "download a model: OWNER/REPO, OWNER/REPO:TAG or an address",
    .run = run,
};
