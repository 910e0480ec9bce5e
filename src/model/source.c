/* SPDX-License-Identifier: MIT
 *
 * Owns the adapting of maps that are not GGUF: which family a model is of, its numbers, and what
 * its tensors are called.  One thread. */
#include "config.h"

#include "src/model/source.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "mmap/map_edit.h"
#include "mmap/meta.h"
#include "src/model/adapt_packed.h"
#include "src/model/family.h"
#include "src/model/tensor_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_MAX   ((size_t)16 << 20)
#define CONFIG_FILES 8 /* different ones that are looked at */
#define CONFIG_FILE  "config.json"

/* The configurations beside a model, read when first asked for. */
struct configs {
    struct {
        const char *name;
        weir_json *json; /* NULL: there is no such file */
    } of[CONFIG_FILES];
    unsigned n;
    char folder[4096], path[4400];
};

bool weir_source_is_whole(const struct weir_map *m)
{
    return !strncmp(weir_map_format(m), "gguf", 4);
}

bool weir_source_folder(const struct weir_map *m, char *buf, size_t n)
{
    const char *path = weir_map_file(m, 0)->path, *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) : 0;
    if (len + 2 > n)
        return false;
    memcpy(buf, path, len);
    buf[len] = 0;
    if (!len)
        strcpy(buf, slash ? "/" : ".");
    return true;
}

static bool is_file(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

static int read_json(const char *path, weir_json **ret, struct weir_err *err)
{
    char *text = NULL;
    size_t n = 0;
    struct weir_err why = { 0 };
    int rc = weir_file_read(path, CONFIG_MAX, &text, &n, err);
    if (rc)
        return rc;
    rc = weir_json_parse(text, n, ret, &why);
    if (rc)
        weir_fail(err, rc, "%s: %s", path, why.msg);
    else if (weir_json_kind(*ret) != WEIR_JSON_OBJECT)
        rc = weir_fail(err, -EINVAL, "%s holds no object", path);
    weir_free(text);
    return rc;
}

int weir_source_json(const struct weir_map *m, const char *name, weir_json **ret,
                     struct weir_err *err)
{
    char folder[4096], path[4400];
    *ret = NULL;
    if (!weir_source_folder(m, folder, sizeof(folder)))
        return weir_fail(err, -ENAMETOOLONG, "%s: its path is too long", weir_map_file(m, 0)->path);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!is_file(path))
        return weir_fail(err, -ENOENT, "%s: there is no such file", path);
    const int rc = read_json(path, ret, err);
    if (rc) {
        weir_json_free(*ret);
        *ret = NULL;
    }
    return rc;
}

bool weir_source_name(const struct weir_map *m, const char *module, char *buf, size_t n)
{
    const char *arch;
    uint64_t len = 0;
    if (weir_meta_str(m, "general.architecture", &arch, &len, NULL) != 1)
        return false;
    for (size_t i = 0; weir_families[i]; i++) {
        const struct weir_family *f = weir_families[i];
        char role[WEIR_ROLE_MAX];
        uint32_t layer;
        if (strlen(f->arch) != len || memcmp(f->arch, arch, len) ||
            weir_family_module(f->names, module, role, &layer) != 1)
            continue;
        const int w = snprintf(buf, n, "%s.weight", role);
        if (w >= 0 && (size_t)w < n && weir_map_find(m, buf))
            return true;
    }
    return false;
}

/* The configuration that F would have, or NULL.  c->path is set to where it lies. */
static int config_of(struct configs *c, const struct weir_family *f, const weir_json **ret,
                     struct weir_err *err)
{
    const char *name = f->file ? f->file : CONFIG_FILE;
    weir_json *json = NULL;
    snprintf(c->path, sizeof(c->path), "%s/%s", c->folder, name);
    for (unsigned i = 0; i < c->n; i++)
        if (!strcmp(c->of[i].name, name)) {
            *ret = c->of[i].json;
            return 0;
        }
    if (c->n == CONFIG_FILES)
        return weir_fail(err, -EINVAL, "%s: more kinds of configuration than %d", c->path,
                         CONFIG_FILES);
    if (*name && is_file(c->path)) {
        const int rc = f->load ? f->load(c->path, &json, err) : read_json(c->path, &json, err);
        if (rc) {
            weir_json_free(json);
            return rc;
        }
    }
    c->of[c->n].name = name;
    c->of[c->n++].json = json;
    *ret = json;
    return 0;
}

static bool listed(const char *const *list, const char *s)
{
    for (; s && list && *list; list++)
        if (!strcmp(*list, s))
            return true;
    return false;
}

static bool fits(const struct weir_family *f, const struct weir_map *m, const weir_json *config)
{
    if ((!f->file || *f->file) && !config)
        return false;
    if (f->types || f->classes) {
        const char *type = weir_json_str(weir_json_get(config, "model_type"));
        const weir_json *classes = weir_json_get(config, "architectures");
        const char *class = weir_json_kind(classes) == WEIR_JSON_ARRAY
                                ? weir_json_str(weir_json_first(classes))
                                : NULL;
        if (type ? !listed(f->types, type) : !listed(f->classes, class))
            return false;
    }
    return !f->tensor || weir_map_find(m, f->tensor);
}

static int find_family(struct weir_adapt *a, struct configs *c, struct weir_err *err)
{
    char types[400];
    for (size_t i = 0; weir_families[i]; i++) {
        const struct weir_family *f = weir_families[i];
        const weir_json *config = NULL;
        const int rc = config_of(c, f, &config, err);
        if (rc)
            return rc;
        if (!fits(f, a->map, config))
            continue;
        a->family = f;
        a->config = config;
        a->path = config ? c->path : weir_map_file(a->map, 0)->path;
        return 0;
    }
    for (unsigned i = 0; i < c->n; i++) {
        if (!c->of[i].json)
            continue;
        const char *type = weir_json_str(weir_json_get(c->of[i].json, "model_type"));
        return weir_fail(err, -ENOTSUP,
                         "%s/%s: a model of type '%.60s' is not one weir computes (%s)", c->folder,
                         c->of[i].name, type ? type : "", weir_family_types(types, sizeof(types)));
    }
    return weir_fail(err, -ENOENT,
                     "%s: there is no " CONFIG_FILE " beside it to say what kind of model it is",
                     weir_map_file(a->map, 0)->path);
}

static int put_general(struct weir_adapt *a, const char *folder, struct weir_err *err)
{
    char *real = realpath(folder, NULL); /* "." is no name */
    const char *slash = strrchr(real ? real : folder, '/');
    const char *name = slash ? slash + 1 : folder;
    const char *arch = a->family->arch, *pairs = a->family->adjacent ? "adjacent" : "halves";
    int rc = weir_map_put_str(a->map, "general.architecture", arch, strlen(arch), err);
    if (!rc || rc == -EEXIST)
        rc = weir_map_put_str(a->map, "general.name", name, strlen(name), err);
    if (!rc || rc == -EEXIST)
        rc = weir_adapt_put_str(a, "rope.pairs", pairs, err);
    free(real);
    return rc == -EEXIST ? 0 : rc;
}

static int count_layers(struct weir_adapt *a, struct weir_err *err)
{
    char key[WEIR_ROLE_MAX];
    uint64_t n = 0;
    snprintf(key, sizeof(key), "%s.block_count", a->family->arch);
    const int have = weir_meta_u64(a->map, key, &n, err);
    if (have < 0)
        return have;
    if (!have || n > 1u << 16)
        return weir_fail(err, -EINVAL, "%s: the number of layers is %s", a->path,
                         have ? "too large" : "missing");
    a->n_layer = (uint32_t)n;
    return 0;
}

static int give_role(struct weir_adapt *a, uint32_t i, bool tied, struct weir_err *err)
{
    const struct weir_tensor *t = weir_map_tensor(a->map, i);
    char role[WEIR_ROLE_MAX];
    uint32_t layer;
    const int known = weir_family_role(a->family->names, t->name, role, &layer);
    if (known == 2 || (known && tied && !strcmp(role, WEIR_NAME_OUTPUT)) ||
        (!known && weir_family_ignores(a->family, t->name)))
        return 0;
    if (!known)
        return weir_fail(err, -ENOTSUP,
                         "%s: tensor '%.200s' is not one weir knows in such a model (%s)",
                         weir_map_file(a->map, t->file)->path, t->name, a->path);
    if (layer != UINT32_MAX && layer >= a->n_layer)
        return weir_fail(err, -EINVAL, "%s: tensor '%.200s' is of layer %u, but there are %u (%s)",
                         weir_map_file(a->map, t->file)->path, t->name, layer, a->n_layer, a->path);
    const int rc = weir_map_set_role(a->map, i, role, err);
    return rc != -EEXIST ? rc
                         : weir_fail(err, -EINVAL,
                                     "%s: tensors '%.100s' and '%.100s' are the same to weir (%s)",
                                     weir_map_file(a->map, t->file)->path, t->name,
                                     weir_map_find(a->map, role)->name, role);
}

static int give_roles(struct weir_adapt *a, struct weir_err *err)
{
    const uint32_t n = weir_map_n_tensor(a->map);
    const bool tied = weir_adapt_bool(a, "tie_word_embeddings", false);
    const weir_json *tie = weir_adapt_get(a, "tie_word_embeddings");
    bool *taken = weir_alloc(WEIR_MEM_MISC, n + 1, sizeof(*taken));
    if (!taken)
        return weir_fail(err, -ENOMEM, "%s: no memory for %u names", a->path, n);
    int rc = weir_adapt_packed(a, taken, err);
    for (uint32_t i = 0; i < n && !rc; i++)
        if (!taken[i])
            rc = give_role(a, i, tied, err);
    weir_free(taken);
    if (!rc && weir_json_kind(tie) == WEIR_JSON_FALSE && !weir_map_find(a->map, WEIR_NAME_OUTPUT))
        rc = weir_fail(err, -EINVAL,
                       "%s: tie_word_embeddings is false, but there is no tensor for the output",
                       a->path);
    return rc;
}

/* A table that is not as long as the configuration says is of another model. */
static int check_vocab(struct weir_adapt *a, struct weir_err *err)
{
    const struct weir_tensor *t = weir_map_find(a->map, WEIR_NAME_TOKEN_EMBD);
    uint64_t n = 0;
    double said = 0;
    int have = weir_adapt_f64(a, "vocab_size", &said, err);
    if (have > 0 && said < 0) /* Meta writes -1: as the tokenizer says */
        return 0;
    if (have > 0)
        have = weir_adapt_u64(a, "vocab_size", &n, err);
    if (have <= 0 || !t || t->packing || weir_tensor_rows(t) == n)
        return have < 0 ? have : 0;
    return weir_fail(err, -EINVAL,
                     "%s: vocab_size is %llu, but tensor '%s' has %llu rows: of different models?",
                     a->path, (unsigned long long)n, t->name,
                     (unsigned long long)weir_tensor_rows(t));
}

static int adapt(struct weir_adapt *a, struct configs *c, struct weir_err *err)
{
    int rc = find_family(a, c, err);
    if (!rc)
        rc = put_general(a, c->folder, err);
    if (!rc)
        rc = weir_adapt_keys(a, a->family->keys ? a->family->keys : weir_keys_hf, err);
    if (!rc && a->family->config)
        rc = a->family->config(a, err);
    if (!rc)
        rc = count_layers(a, err);
    if (!rc)
        rc = give_roles(a, err);
    return rc ? rc : check_vocab(a, err);
}

int weir_source_adapt(struct weir_map *m, struct weir_err *err)
{
    struct weir_adapt a = { .map = m };
    if (weir_source_is_whole(m))
        return 0;
    struct configs *c = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*c));
    if (!c)
        return weir_fail(err, -ENOMEM, "no memory for a configuration");
    int rc =
        weir_source_folder(m, c->folder, sizeof(c->folder))
            ? adapt(&a, c, err)
            : weir_fail(err, -ENAMETOOLONG, "%s: its path is too long", weir_map_file(m, 0)->path);
    for (unsigned i = 0; i < c->n; i++)
        weir_json_free(c->of[i].json);
    weir_free(c);
    return rc;
}

int weir_source_open(const char *path, struct weir_map **ret_map, struct weir_err *err)
{
    struct weir_map *m = NULL;
    int rc = weir_map_open(path, &m, err);
    if (!rc)
        rc = weir_source_adapt(m, err);
    if (rc)
        weir_map_close(m);
    else
        *ret_map = m;
    return rc;
}
