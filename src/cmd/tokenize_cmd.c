/* SPDX-License-Identifier: MIT
 * Owns `weir tokenize`: how a model reads a text, and what token ids say. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "base/utf8.h"
#include "src/cmd/cmd.h"
#include "src/run/vocab.h"
#include "src/text/stream.h"
#include "src/text/tok.h"

#include <errno.h>
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

/* As JSON has strings; what is no UTF-8 becomes U+FFFD. */
static void print_string(const char *p, size_t n)
{
    putchar('"');
    for (size_t at = 0, len; at < n; at += len) {
        const uint8_t c = (uint8_t)p[at];
        if (weir_utf8_step((const uint8_t *)p + at, n - at, &len) != WEIR_UTF8_OK)
            fputs("\xEF\xBF\xBD", stdout);
        else if (c < 0x20 || c == 0x7F)
            printf("\\u%04x", c);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else
            fwrite(p + at, 1, len, stdout);
    }
    putchar('"');
}

/* A text of a megabyte has hundreds of thousands of tokens: no tree is made of them. */
static int print_json(const struct weir_tok *tok, const struct weir_tok_ids *ids)
{
    fputs("{\"tokenizer\":", stdout);
    print_string(weir_tok_kind(tok), strlen(weir_tok_kind(tok)));
    fputs(",\"tokens\":[", stdout);
    for (size_t i = 0; i < ids->n; i++) {
        size_t n;
        const char *piece = weir_tok_piece(tok, ids->v[i].id, true, &n);
        printf("%s\n{\"id\":%u,\"piece\":", i ? "," : "", ids->v[i].id);
        print_string(piece, n);
        printf(",\"start\":%u,\"end\":%u}", ids->v[i].start, ids->v[i].end);
    }
    puts("]}");
    return weir_cmd_flush();
}

/* Ids as people and programs write them: 1 2 3, 1,2,3, [1, 2, 3]. */
static int read_ids(const char *text, size_t n, const struct weir_tok *tok, struct weir_stream *out,
                    bool special, struct weir_err *err)
{
    for (size_t i = 0; i < n;) {
        if (strchr(" ,\t\r\n[]", text[i]) && text[i]) {
            i++;
            continue;
        }
        uint64_t id = 0;
        const size_t start = i;
        while (i < n && text[i] >= '0' && text[i] <= '9' && id < UINT32_MAX)
            id = 10 * id + (uint64_t)(text[i++] - '0');
        if (i == start)
            return weir_fail(err, -EINVAL, "byte %zu of the ids is no number", start);
        if (id >= weir_tok_n_vocab(tok))
            return weir_fail(err, -EINVAL, "token %llu: the vocabulary has %u",
                             (unsigned long long)id, weir_tok_n_vocab(tok));
        const char *p;
        size_t m;
        if (special && weir_tok_attr(tok, (uint32_t)id) != WEIR_TOK_NORMAL &&
            weir_tok_attr(tok, (uint32_t)id) != WEIR_TOK_BYTE) {
            weir_stream_flush(out, &p, &m);
            fwrite(p, 1, m, stdout);
            p = weir_tok_piece(tok, (uint32_t)id, true, &m);
        } else {
            const int rc = weir_stream_push(out, (uint32_t)id, &p, &m);
            if (rc < 0)
                return weir_fail(err, rc, "no memory for the text");
        }
        fwrite(p, 1, m, stdout);
    }
    const char *p;
    size_t m;
    weir_stream_flush(out, &p, &m);
    fwrite(p, 1, m, stdout);
    return 0;
}

static int decode(const struct weir_args *a, const struct weir_tok *tok, const char *text, size_t n)
{
    struct weir_stream out;
    struct weir_err err = { 0 };
    weir_stream_init(&out, tok, NULL, 0, weir_tok_adds_space(tok));
    const int rc = read_ids(text, n, tok, &out, a->special, &err);
    weir_stream_done(&out);
    if (rc) {
        weir_cmd_error(&err);
        return 1;
    }
    return weir_cmd_flush();
}

static int run(const struct weir_args *a)
{
    struct weir_tok *tok = NULL;
    struct weir_tok_ids ids = { 0 };
    struct weir_err err = { 0 };
    char *read = NULL;
    const char *text = a->prompt;
    size_t n = text ? strlen(text) : 0;
    int status = 1;
    if (a->prompt && a->file)
        return weir_cmd_usage("tokenize", "-p and -f exclude each other");
    if (a->to_text && a->json)
        return weir_cmd_usage("tokenize", "--decode prints text; --json does not go with it");
    if (weir_vocab_open(a->model, &tok, &err) < 0) {
        weir_cmd_error(&err);
        goto out;
    }
    if (!text) {
        if (weir_file_read(a->file ? a->file : "-", TEXT_MAX, &read, &n, &err) < 0) {
            weir_cmd_error(&err);
            goto out;
        }
        text = read;
    }
    if (a->to_text) {
        status = decode(a, tok, text, n);
        goto out;
    }
    if (weir_tok_encode(tok, text, n,
                        (a->no_bos ? 0 : WEIR_TOK_ADD_BOS) |
                            (a->special ? WEIR_TOK_PARSE_SPECIAL : 0),
                        &ids, &err) < 0) {
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
    weir_free(read);
    weir_tok_free(tok);
    return status;
}

const struct weir_cmd weir_tokenize_cmd = {
    .name = "tokenize",
    .bit = WEIR_CMD_TOKENIZE,
    .usage = "[MODEL] [-p TEXT]",
    .help = "show how a model reads a text",
    .run = run,
};
