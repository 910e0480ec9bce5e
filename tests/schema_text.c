/* SPDX-License-Identifier: MIT
 *
 * schema_text FILE N SEED: N texts that random logits give under the schema in FILE, each ended by
 * a zero byte.  tests/gen/schema_check.py reads them and asks another program about them. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/schema.h"
#include "tests/grammar_words.h"

int main(int argc, char **argv)
{
    enum { CAP = 4096 };
    char *json = NULL, *grammar = NULL, *text = malloc(CAP);
    size_t n;
    struct weir_err err = { 0 };
    struct weir_gbnf *g = NULL;
    struct weir_constrain *c = NULL;
    struct words w = make_words(3000, 4);
    struct weir_toktrie *trie = make_trie(&w);
    if (argc != 4 || !text || !trie)
        return 2;
    uint64_t seed = strtoull(argv[3], NULL, 10);
    int r = weir_file_read(argv[1], 1 << 22, &json, &n, &err);
    if (r == 0)
        r = weir_schema_to_gbnf(json, n, &grammar, &err);
    if (r == 0)
        r = weir_gbnf_parse(grammar, strlen(grammar), &g, &err);
    if (r == 0)
        r = weir_constrain_new(g, trie, 4 << 20, &c, &err);
    for (int i = atoi(argv[2]); i > 0 && r == 0; i--) {
        r = generate(c, &w, &seed, text, CAP, &n, &err);
        if (r == 0 && !weir_constrain_ended(c))
            continue; /* it did not end in time: no whole text */
        if (r == 0) {
            fwrite(text, 1, n, stdout);
            putchar(0);
        }
    }
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    return r < 0;
}
