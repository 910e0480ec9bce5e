/* SPDX-License-Identifier: MIT
 * Owns the hub's addresses and the reading of its answers. */
#include "config.h"

#include "src/net/hub.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIST_BYTES_MAX (16 << 20)
#define PAGES_MAX      200 /* of a list, of 1000 files each */

/* S without blanks around it, into BUF; "" when it does not fit. */
static void set_trimmed(char *buf, size_t n, const char *s)
{
    size_t len = strlen(s);
    while (len && isspace((unsigned char)s[len - 1]))
        len--;
    while (len && isspace((unsigned char)*s))
        s++, len--;
    snprintf(buf, n, "%.*s", len < n ? (int)len : 0, s);
}

/* The token in the file that the programs of the hub keep it in. */
static void read_token_file(struct weir_hub *h)
{
    static const struct {
        const char *name, *below;
        bool only; /* who sets it means no other */
    } place[] = { { "HF_TOKEN_PATH", "", true },
                  { "HF_HOME", "/token", true },
                  { "XDG_CACHE_HOME", "/huggingface/token", false },
                  { "HOME", "/.cache/huggingface/token", false } };
    char path[sizeof(h->token_from)], *text;
    size_t n;
    for (size_t i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
        const char *v = getenv(place[i].name);
        if (!v || !*v)
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s%s", v, place[i].below) < sizeof(path) &&
            weir_file_read(path, sizeof(h->token), &text, &n, NULL) == 0) {
            set_trimmed(h->token, sizeof(h->token), text);
            snprintf(h->token_from, sizeof(h->token_from), "%s", path);
            weir_free(text);
            return;
        }
        if (place[i].only)
            return; /* none there: public models need none */
    }
}

static void read_token(struct weir_hub *h)
{
    static const char *const name[] = { "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN" };
    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        const char *own = getenv(name[i]);
        if (own && *own) {
            set_trimmed(h->token, sizeof(h->token), own);
            snprintf(h->token_from, sizeof(h->token_from), "%s", name[i]);
            return;
        }
    }
    read_token_file(h);
}

int weir_hub_init(struct weir_hub *h, struct weir_err *err)
{
    const char *e = getenv("HF_ENDPOINT");
    *h = (struct weir_hub){ 0 };
    if (!e || !*e)
        e = WEIR_HUB_DEFAULT;
    if ((strncmp(e, "http://", 7) && strncmp(e, "https://", 8)) ||
        strlen(e) >= sizeof(h->endpoint) || strpbrk(e, "?# \t\r\n"))
        return weir_fail(err, -EINVAL, "HF_ENDPOINT is '%.100s', expected http(s)://HOST", e);
    snprintf(h->endpoint, sizeof(h->endpoint), "%s", e);
    for (size_t n = strlen(h->endpoint); n && h->endpoint[n - 1] == '/';)
        h->endpoint[--n] = 0;
    read_token(h);
    return 0;
}

static bool is_sha256(const char *s)
{
    return s && strlen(s) == WEIR_SHA256_STR - 1 &&
           strspn(s, "0123456789abcdef") == WEIR_SHA256_STR - 1;
}

static int add(struct weir_files *l, const weir_json *entry, struct weir_err *err)
{
    const char *type = weir_json_str(weir_json_get(entry, "type"));
    const char *path = weir_json_str(weir_json_get(entry, "path"));
    const weir_json *lfs = weir_json_get(entry, "lfs");
    const char *sha = weir_json_str(weir_json_get(lfs, "oid"));
    const double bytes = weir_json_num(weir_json_get(lfs ? lfs : entry, "size"), -1);
    const enum weir_file_kind kind = path ? weir_path_kind(path) : WEIR_FILE_OTHER;
    if (!type || strcmp(type, "file") || !kind || (kind == WEIR_FILE_TEXT && !(bytes > 0)))
        return 0;
    if (!(bytes > 0 && bytes <= 9007199254740992.0))
        return weir_fail(err, -EINVAL, "%.100s has a size of %.0f bytes, expected 1 to 2^53", path,
                         bytes);
    return weir_files_add(l, path, (uint64_t)bytes, is_sha256(sha) ? sha : NULL, err);
}

/* The files of one page of a list; URL becomes that of the next, "" after the last. */
static int add_page(struct weir_fetch *f, const char *repo, char url[WEIR_HUB_URL_MAX],
                    struct weir_files *l, struct weir_err *err)
{
    char next[WEIR_HUB_URL_MAX], *text = NULL;
    struct weir_err why = { 0 };
    weir_json *j = NULL;
    size_t n;
    int r = weir_fetch_text(f, url, LIST_BYTES_MAX, &text, &n, next, err);
    if (r < 0)
        return r;
    memcpy(url, next, sizeof(next));
    r = weir_json_parse(text, n, &j, &why);
    if (r == 0 && weir_json_kind(j) != WEIR_JSON_ARRAY)
        r = weir_fail(&why, -EINVAL, "a list of files was expected");
    for (const weir_json *e = r == 0 ? weir_json_first(j) : NULL; e && r == 0;
         e = weir_json_next(e))
        r = add(l, e, &why);
    if (r < 0)
        weir_fail(err, r, "%s: the hub's answer: %s", repo, why.msg);
    weir_json_free(j);
    weir_free(text);
    return r;
}

int weir_hub_files(const struct weir_hub *h, struct weir_fetch *f, const char *repo,
                   struct weir_files *l, struct weir_err *err)
{
    char url[WEIR_HUB_URL_MAX];
    int r = 0;
    snprintf(url, sizeof(url), "%s/api/models/%s/tree/main?recursive=true", h->endpoint, repo);
    for (int page = 0; r == 0 && url[0]; page++) {
        if (page == PAGES_MAX)
            return weir_fail(err, -EINVAL, "%s: the hub's list of files has more than %d pages",
                             repo, PAGES_MAX);
        r = add_page(f, repo, url, l, err);
    }
    return r;
}

/* A hexadecimal digit's value, or -1. */
static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The path in the N bytes of S, %XX undone, into BUF; false when it does not fit or is not to be
 * shown. */
static bool unquote(char *buf, size_t size, const char *s, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n && at + 1 < size; i++) {
        const int high = i + 2 < n && s[i] == '%' ? hex(s[i + 1]) : -1;
        const int low = high >= 0 ? hex(s[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        buf[at] = low >= 0 ? (char)(16 * high + low) : s[i];
        if (iscntrl((unsigned char)buf[at++]))
            return false;
    }
    buf[at] = 0;
    return at + 1 < size;
}

/* What follows the host in TEXT if that is the hub's, else NULL. */
static const char *behind_host(const struct weir_hub *h, const char *text)
{
    static const char *const host[] = { "huggingface.co/", "www.huggingface.co/", "hf.co/" };
    const size_t n = strlen(h->endpoint), scheme = !strncasecmp(text, "https://", 8)  ? 8
                                                   : !strncasecmp(text, "http://", 7) ? 7
                                                                                      : 0;
    if (!strncasecmp(text, h->endpoint, n) && text[n] == '/')
        return text + n + 1;
    for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++)
        if (!strncasecmp(text + scheme, host[i], strlen(host[i])))
            return text + scheme + strlen(host[i]);
    return NULL;
}

bool weir_hub_name(const struct weir_hub *h, const char *text, struct weir_model_name *ret)
{
    static const char *const view[] = { "resolve/main/", "blob/main/", "tree/main/", "tree/main" };
    const char *s = behind_host(h, text);
    char repo[WEIR_REPO_STR], path[WEIR_TAG_STR];
    if (!s)
        return false;
    size_t n = strcspn(s, "?#");
    while (n && s[n - 1] == '/')
        n--;
    size_t name = strcspn(s, "/");
    name += s[name] == '/' ? 1 + strcspn(s + name + 1, "/?#") : 0;
    name = name < n ? name : n;
    if (name >= sizeof(repo))
        return false;
    memcpy(repo, s, name);
    repo[name] = 0;
    if (!weir_model_name_parse(repo, ret) || name == n)
        return weir_model_name_parse(repo, ret) && !weir_path_is_gguf(repo);
    s += name + 1;
    n -= name + 1;
    for (size_t i = 0; i < sizeof(view) / sizeof(view[0]); i++) {
        const size_t v = strlen(view[i]);
        if (n < v || strncmp(s, view[i], v))
            continue;
        if (!unquote(path, sizeof(path), s + v, n - v))
            return false;
        if (weir_path_is_gguf(path) || *view[i] == 't') /* of a folder there is one */
            snprintf(ret->tag, sizeof(ret->tag), "%.*s", (int)weir_path_stem(path), path);
        return true;
    }
    return false;
}

int weir_hub_url(const struct weir_hub *h, const char *repo, const char *path,
                 char ret[WEIR_HUB_URL_MAX], struct weir_err *err)
{
    char quoted[3 * 1024 + 1];
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)path; *p && n + 4 < sizeof(quoted); p++)
        if (isalnum(*p) || strchr("/-._~", *p))
            quoted[n++] = (char)*p;
        else
            n += (size_t)snprintf(quoted + n, 4, "%%%02X", *p);
    quoted[n] = 0;
    if (snprintf(ret, WEIR_HUB_URL_MAX, "%s/%s/resolve/main/%s", h->endpoint, repo, quoted) >=
        WEIR_HUB_URL_MAX)
        return weir_fail(err, -ENAMETOOLONG, "%s/%.100s: too long an address", repo, path);
    return 0;
}
