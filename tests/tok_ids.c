/* SPDX-License-Identifier: MIT
 *
 * For comparisons with reference tokenizers (tests/gen/tok_fuzz.py): reads texts as lines of
 * hexadecimal digits, prints the ids of each as a line.  tok_ids PATH [special] */
#include "config.h"

#include "src/text/tok.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    struct weir_tok_ids ids = { 0 };
    char *line = NULL;
    size_t cap = 0;
    if (argc < 2 || weir_tok_open(argv[1], &t, &err)) {
        fprintf(stderr, "%s\n", argc < 2 ? "tok_ids PATH [special]" : err.msg);
        return 1;
    }
    const unsigned flags = argc > 2 ? WEIR_TOK_PARSE_SPECIAL : 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) >= 0) {
        size_t m = 0;
        unsigned byte;
        for (ssize_t i = 0; i + 1 < n && sscanf(line + i, "%2x", &byte) == 1; i += 2)
            line[m++] = (char)byte;
        ids.n = 0;
        if (weir_tok_encode(t, line, m, flags, &ids, &err)) {
            printf("! %s\n", err.msg);
            continue;
        }
        for (size_t i = 0; i < ids.n; i++)
            printf("%u%s", ids.v[i].id, i + 1 < ids.n ? " " : "");
        putchar('\n');
    }
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
    free(line);
    return 0;
}
