/* SPDX-License-Identifier: MIT
 * Owns `weir tokenize`: how a model reads a text. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "base/utf8.h"
#include "src/cmd/cmd.h"
#include "src/text/tok.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 30)

static void print_people(const struct weir_tok *tok, const struct weir_tok_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) {
        size_t n;
        const char *piece = weir_tok_piece(tok, ids->v[i].id, true, &n);
        printf("%8u  %6u..%-6u \"", ids->v[i].id, ids->v[i].start, ids->v[i].end);
        for (size_t at = 0; at < n;) {
            const unsigned char c = (unsigned char)piece[at];
            size_t len;
            if (weir_utf8_step((const uint8_t *)piece + at, n - at, &len) == WEIR_UTF8_OK &&
                c >= 0x20 && c != 0x7f) {
                fwrite(piece + at, 1, len, stdout);
                at += len;
            } else { /* a byte of a longer character, or a control character */
                printf("\\x%02x", c);
                at++;
            }
        }
        puts("\"");
    }
}

static int print_json(const struct weir_tok *tok, const struct weir_tok_ids *ids)
{
    weir_json *o = weir_json_object(), *list = weir_json_array();
    for (size_t i = 0; i < ids->n; i++) {
        size_t n;
        const char *piece = weir_tok_piece(tok, ids->v[i].id, true, &n);
        weir_json *t = weir_json_object();
        weir_json_add_num(t, "id", ids->v[i].id);
        weir_json_add_strn(t, "piece", piece, n);
        weir_json_add_num(t, "start", ids->v[i].start);
        weir_json_add_num(t, "end", ids->v[i].end);
        weir_json_push(list, t);
    }
    weir_json_add_str(o, "tokenizer", weir_tok_kind(tok));
    weir_json_add(o, "tokens", list);
    return weir_cmd_print_json(o);
}

static int run(const struct weir_args *a)
{
    struct weir_map *map = NULL;
    struct weir_tok *tok = NULL;
    struct weir_tok_ids ids = { 0 };
    struct weir_err err = { 0 };
    char *text = NULL;
    size_t n = 0;
    int status = 1;
    if (a->prompt && a->file)
        return weir_cmd_usage("tokenize", "-p and -f exclude each other");
    if (weir_map_open(a->model, &map, &err) < 0 || weir_tok_load(map, &tok, &err) < 0) {
        weir_cmd_error(&err);
        goto out;
    }
    if (!a->prompt && weir_file_read(a->file ? a->file : "-", TEXT_MAX, &text, &n, &err) < 0) {
        weir_cmd_error(&err);
        goto out;
    }
    if (a->prompt)
        n = strlen(a->prompt);
    if (weir_tok_encode(tok, a->prompt ? a->prompt : text, n,
                        WEIR_TOK_ADD_BOS | (a->special ? WEIR_TOK_PARSE_SPECIAL : 0), &ids,
                        &err) < 0) {
        weir_cmd_error(&err);
        goto out;
    }
    if (a->json) {
        status = print_json(tok, &ids);
    } else {
        print_people(tok, &ids);
        status = weir_cmd_flush();
    }
out:
    weir_tok_ids_done(&ids);
    weir_free(text);
    weir_tok_free(tok);
    weir_map_close(map);
    return status;
}

const struct weir_cmd weir_tokenize_cmd = {
    .name = "tokenize",
    .bit = WEIR_CMD_TOKENIZE,
    .usage = "MODEL [-p TEXT]",
    .help = "show how a model reads a text",
    .run = run,
};
