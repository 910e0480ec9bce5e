/* SPDX-License-Identifier: MIT
 * Owns the choice of the template for a model.  One thread. */
#include "config.h"

#include "src/run/form.h"

#include "mmap/meta.h"
#include "src/run/vocab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has_token(const void *of, const char *token)
{
    return weir_tok_special(of, token, strlen(token)) != WEIR_TOK_NONE;
}

static int add_token(struct weir_chat *c, const struct weir_tok *tok, const char *name, uint32_t id,
                     struct weir_err *err)
{
    if (id == WEIR_TOK_NONE)
        return 0;
    size_t n;
    const char *piece = weir_tok_piece(tok, id, true, &n);
    return weir_chat_token(c, name, piece, n, err);
}

int weir_form_find(const char *model, const char *name, const struct weir_tok *tok, bool tools,
                   struct weir_chat_template *ret, struct weir_err *err)
{
    struct weir_map *map = NULL;
    char arch[64] = "", folder[4096];
    const char *text;
    uint64_t n;
    int r = 0;
    if (name)
        return weir_chat_by_name(name, ret, err);
    if (weir_vocab_folder(model, folder, sizeof(folder))) {
        r = weir_chat_from_folder(folder, tools, ret, err);
        weir_chat_folder_arch(folder, arch, sizeof(arch));
    }
    if (!r && !weir_map_open(model, &map, NULL)) {
        r = weir_chat_from_map(map, tools, ret, err);
        if (weir_meta_str(map, "general.architecture", &text, &n, NULL) == 1)
            snprintf(arch, sizeof(arch), "%.*s", n > 60 ? 60 : (int)n, text);
        weir_map_close(map);
    }
    if (r)
        return r < 0 ? r : 0;
    name = weir_chat_guess(arch, has_token, tok);
    if (!name)
        return weir_fail(err, -ENOENT,
                         "%s has no chat template and is of no kind that one of ours fits; choose "
                         "one with --template",
                         model);
    return weir_chat_by_name(name, ret, err);
}

int weir_form_tokens(struct weir_chat *c, const struct weir_tok *tok, struct weir_err *err)
{
    const int r = add_token(c, tok, "bos_token", weir_tok_bos(tok), err);
    return r < 0 ? r : add_token(c, tok, "eos_token", weir_tok_eos(tok), err);
}
