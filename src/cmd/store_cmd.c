/* SPDX-License-Identifier: MIT
 * Owns `weir list`, `weir rm` and the finding of what was pulled. */
#include "config.h"

#include "base/num.h"
#include "src/cmd/cmd.h"
#include "src/net/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int weir_cmd_find_model(struct weir_args *a, char *buf, struct weir_err *err)
{
    struct weir_model_name name;
    char root[PATH_MAX];
    /* A missing file is told as such by whoever opens it. */
    if (!a->model || !access(a->model, F_OK) || weir_path_is_gguf(a->model) ||
        !weir_model_name_parse(a->model, &name))
        return 0;
    int r = weir_store_root(root, err);
    if (r == 0)
        r = weir_store_find(root, a->model, &name, buf, err);
    if (r == 0)
        a->model = buf;
    return r;
}

struct listing {
    const char *root;
    weir_json *array; /* NULL: for people */
};

static int list_one(void *arg, const char *name, const struct weir_files *files)
{
    const struct listing *l = arg;
    char size[WEIR_SIZE_STR], path[3 * PATH_MAX], repo[WEIR_REPO_STR];
    const uint64_t bytes = weir_files_bytes(files);
    snprintf(repo, sizeof(repo), "%.*s", (int)strcspn(name, ":"), name);
    snprintf(path, sizeof(path), "%s/%s/%s", l->root, repo, files->at[0].path);
    if (!l->array) {
        printf("%-48s %10s  %s\n", name, weir_size_format(bytes, size, sizeof(size)), path);
        return 0;
    }
    weir_json *j = weir_json_object();
    weir_json_add_str(j, "name", name);
    weir_json_add_num(j, "bytes", (double)bytes);
    weir_json_add_num(j, "files", (double)files->n);
    weir_json_add_str(j, "path", path);
    weir_json_push(l->array, j);
    return 0;
}

static int list(const struct weir_args *a)
{
    struct weir_err err = { 0 };
    char root[PATH_MAX];
    struct listing l = { .root = root, .array = a->json ? weir_json_array() : NULL };
    int r = weir_store_root(root, &err);
    if (r == 0)
        r = weir_store_each(root, list_one, &l, &err);
    if (r < 0) {
        weir_json_free(l.array);
        return weir_cmd_error(&err);
    }
    return a->json ? weir_cmd_print_json(l.array) : weir_cmd_flush();
}

static int rm(const struct weir_args *a)
{
    struct weir_err err = { 0 };
    struct weir_model_name name;
    struct weir_files files = { 0 };
    char root[PATH_MAX], size[WEIR_SIZE_STR];
    if (!weir_model_name_parse(a->model, &name))
        return weir_cmd_usage("rm", "which model? OWNER/REPO or OWNER/REPO:TAG, as in 'weir list'");
    int r = weir_store_root(root, &err);
    if (r == 0)
        r = weir_store_files(root, name.repo, !*name.tag, &files, &err);
    if (r == 0 && !files.n)
        r = weir_fail(&err, -ENOENT, "%s is not in %s", a->model, root);
    if (r == 0 && *name.tag)
        r = weir_files_pick(&files, a->model, name.tag, &err);
    for (size_t i = 0; i < files.n && r == 0; i++) {
        r = weir_store_remove(root, name.repo, files.at[i].path, &err);
        if (r == 0)
            printf("removed %s/%s/%s (%s)\n", root, name.repo, files.at[i].path,
                   weir_size_format(files.at[i].bytes, size, sizeof(size)));
    }
    weir_files_done(&files);
    const int flushed = weir_cmd_flush();
    return r < 0 ? weir_cmd_error(&err) : flushed;
}

const struct weir_cmd weir_list_cmd = {
    .name = "list",
    .bit = WEIR_CMD_LIST,
    .usage = "",
    .help = "list the models that were pulled",
    .run = list,
};

const struct weir_cmd weir_rm_cmd = {
    .name = "rm",
    .bit = WEIR_CMD_RM,
    .usage = "NAME",
    .help = "remove a model that was pulled",
    .run = rm,
};
