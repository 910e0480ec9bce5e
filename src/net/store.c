/* SPDX-License-Identifier: MIT
 * Owns the folder of pulled models. */
#include "config.h"

#include "src/net/store.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8

int weir_store_root(char ret[PATH_MAX], struct weir_err *err)
{
    const char *own = getenv("WEIR_MODELS"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char path[PATH_MAX];
    int n;
    if (own && *own)
        n = snprintf(path, sizeof(path), "%s", own);
    else if (xdg && *xdg == '/')
        n = snprintf(path, sizeof(path), "%s/weir/models", xdg);
    else if (home && *home == '/')
        n = snprintf(path, sizeof(path), "%s/.local/share/weir/models", home);
    else
        return weir_fail(err, -ENOENT, "no place for models: neither WEIR_MODELS nor HOME is set");
    if (n >= PATH_MAX)
        return weir_fail(err, -ENAMETOOLONG, "the folder for models has a name of %d bytes", n);
    memcpy(ret, path, (size_t)n + 1);
    return 0;
}

/* Like mkdir -p. */
static int make_folders(const char *path, struct weir_err *err)
{
    char buf[PATH_MAX];
    snprintf(buf, sizeof(buf), "%s", path);
    for (char *p = buf + 1;; p++) {
        if (*p && *p != '/')
            continue;
        const char was = *p;
        *p = 0;
        if (mkdir(buf, 0777) && errno != EEXIST)
            return weir_fail(err, -errno, "%s: cannot make this folder: %s", buf, strerror(errno));
        if (!was)
            return 0;
        *p = was;
    }
}

int weir_store_folder(const char *root, const char *path, bool make, struct weir_err *err)
{
    int r = make ? make_folders(root, err) : 0;
    if (r < 0)
        return r;
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return weir_fail(err, -errno, "%s: %s", root, strerror(errno));
    for (const char *p = path; *p;) {
        char part[256];
        const size_t n = strcspn(p, "/");
        if (n >= sizeof(part)) {
            close(fd);
            return weir_fail(err, -ENAMETOOLONG, "%s: %.40s... is too long a name", root, p);
        }
        memcpy(part, p, n);
        part[n] = 0;
        p += n + (p[n] == '/');
        int next = -1;
        if (!make || !mkdirat(fd, part, 0777) || errno == EEXIST)
            next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        const int e = errno;
        close(fd);
        if (next < 0)
            return weir_fail(err, -e, "%s/%s: %s", root, path,
                             e == ELOOP || e == ENOTDIR ? "not a folder, or behind a symbolic link"
                                                        : strerror(e));
        fd = next;
    }
    return fd;
}

static bool ends(const char *s, const char *with)
{
    const size_t n = strlen(s), w = strlen(with);
    return n > w && !strcmp(s + n - w, with);
}

/* Add the files below folder FD (which is closed), whose path in the repository is BELOW. */
static int walk(int fd, const char *below, unsigned depth, bool parts_too, struct weir_files *l,
                struct weir_err *err)
{
    DIR *d = fdopendir(fd);
    int r = 0;
    if (!d) {
        r = weir_fail(err, -errno, "cannot read a folder of models: %s", strerror(errno));
        close(fd);
        return r;
    }
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        struct stat st;
        char path[PATH_MAX];
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            (size_t)snprintf(path, sizeof(path), "%s%s%s", below, *below ? "/" : "", e->d_name) >=
                sizeof(path))
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            const int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub >= 0)
                r = walk(sub, path, depth + 1, parts_too, l, err);
        } else if (S_ISREG(st.st_mode) &&
                   (weir_path_kind(path) ||
                    (parts_too && (ends(path, ".part") || ends(path, ".part.state"))))) {
            /* A name that cannot be ours is not an error, only not ours. */
            r = weir_files_add(l, path, (uint64_t)st.st_size, NULL, err);
            r = r == -EINVAL ? 0 : r;
        }
    }
    closedir(d);
    return r;
}

int weir_store_files(const char *root, const char *repo, bool parts_too, struct weir_files *l,
                     struct weir_err *err)
{
    struct weir_err why;
    const int fd = weir_store_folder(root, repo, false, &why);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return weir_fail(err, fd, "%s", why.msg);
    return walk(fd, "", 0, parts_too, l, err);
}

static bool same_model(const struct weir_file *a, const struct weir_file *b)
{
    const size_t n = weir_path_stem(a->path);
    return n == weir_path_stem(b->path) && !memcmp(a->path, b->path, n);
}

static int each_of_repo(const char *root, const char *repo,
                        int (*each)(void *arg, const char *name, const struct weir_files *files),
                        void *arg, struct weir_err *err)
{
    struct weir_files l = { 0 };
    int r = weir_store_files(root, repo, false, &l, err);
    size_t n_gguf = 0;
    weir_files_sort(&l);
    while (n_gguf < l.n && weir_path_is_gguf(l.at[n_gguf].path))
        n_gguf++;
    for (size_t i = 0, n; i < n_gguf && r == 0; i += n) {
        char name[WEIR_REPO_STR + PATH_MAX];
        for (n = 1; i + n < n_gguf && same_model(&l.at[i], &l.at[i + n]);)
            n++;
        const struct weir_files one = { .at = l.at + i, .n = n };
        if (n == n_gguf)
            snprintf(name, sizeof(name), "%s", repo);
        else
            snprintf(name, sizeof(name), "%s:%.*s", repo, (int)weir_path_stem(l.at[i].path),
                     l.at[i].path);
        r = each(arg, name, &one);
    }
    if (r == 0 && n_gguf < l.n && weir_path_kind(l.at[n_gguf].path) != WEIR_FILE_TEXT) {
        const struct weir_files folder = { .at = l.at + n_gguf, .n = l.n - n_gguf };
        r = each(arg, repo, &folder);
    }
    weir_files_done(&l);
    return r;
}

/* The folders of PATH below ROOT, sorted; the names of those that can be part of a model's name. */
static int folders(const char *root, const char *path, struct weir_files *l, struct weir_err *err)
{
    struct weir_err why;
    const int fd = weir_store_folder(root, path, false, &why);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 0;
    if (fd < 0)
        return weir_fail(err, fd, "%s", why.msg);
    DIR *d = fdopendir(fd);
    int r = 0;
    if (!d) {
        close(fd);
        return weir_fail(err, -ENOMEM, "no memory to read a folder");
    }
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        struct stat st;
        if (e->d_name[0] != '.' && !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
            S_ISDIR(st.st_mode)) {
            r = weir_files_add(l, e->d_name, 0, NULL, err);
            r = r == -EINVAL ? 0 : r;
        }
    }
    closedir(d);
    weir_files_sort(l);
    return r;
}

int weir_store_each(const char *root,
                    int (*each)(void *arg, const char *name, const struct weir_files *files),
                    void *arg, struct weir_err *err)
{
    struct weir_files owners = { 0 };
    int r = folders(root, "", &owners, err);
    for (size_t i = 0; i < owners.n && r == 0; i++) {
        struct weir_files repos = { 0 };
        r = folders(root, owners.at[i].path, &repos, err);
        for (size_t k = 0; k < repos.n && r == 0; k++) {
            char repo[600];
            snprintf(repo, sizeof(repo), "%s/%s", owners.at[i].path, repos.at[k].path);
            if (weir_model_name_parse(repo, NULL))
                r = each_of_repo(root, repo, each, arg, err);
        }
        weir_files_done(&repos);
    }
    weir_files_done(&owners);
    return r;
}

int weir_store_find(const char *root, const char *text, const struct weir_model_name *name,
                    char ret[PATH_MAX], struct weir_err *err)
{
    struct weir_files l = { 0 };
    int r = weir_store_files(root, name->repo, false, &l, err);
    if (r == 0 && !l.n)
        r = weir_fail(err, -ENOENT,
                      "%s is no file, and no such model was pulled into %s; get it "
                      "with: weir pull %s",
                      text, root, text);
    if (r == 0)
        r = weir_files_pick(&l, text, name->tag, err);
    if (r == 0 && snprintf(ret, PATH_MAX, "%s/%s/%s", root, name->repo, l.at[0].path) >= PATH_MAX)
        r = weir_fail(err, -ENAMETOOLONG, "%s: its path is longer than %d bytes", text, PATH_MAX);
    weir_files_done(&l);
    return r;
}

int weir_store_remove(const char *root, const char *repo, const char *path, struct weir_err *err)
{
    char folder[PATH_MAX];
    const int n = snprintf(folder, sizeof(folder), "%s/%s", repo, path);
    if (n >= PATH_MAX)
        return weir_fail(err, -ENAMETOOLONG, "%s/%s: too long a path", repo, path);
    bool file = true;
    for (char *slash; (slash = strrchr(folder, '/')); file = false) {
        *slash = 0;
        struct weir_err why;
        const int fd = weir_store_folder(root, folder, false, &why);
        const int failed = fd < 0 || unlinkat(fd, slash + 1, file ? 0 : AT_REMOVEDIR);
        const int e = errno;
        if (fd >= 0)
            close(fd);
        if (failed && file)
            return fd < 0 ? weir_fail(err, fd, "%s", why.msg)
                          : weir_fail(err, -e, "%s/%s/%s: cannot remove: %s", root, repo, path,
                                      strerror(e));
        if (failed) /* the folder has other things in it */
            break;
    }
    const int fd = strchr(folder, '/') ? -1 : weir_store_folder(root, "", false, NULL);
    if (fd >= 0) {
        (void)!unlinkat(fd, folder, AT_REMOVEDIR);
        close(fd);
    }
    return 0;
}
