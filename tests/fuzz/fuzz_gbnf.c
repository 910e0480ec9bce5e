/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for grammars: the input up to a zero byte is a grammar; where it is one, what
 * follows is matched with it, masks are made over a small vocabulary on the way, and a mask must
 * allow exactly what can be accepted. */
#include "config.h"

#include "src/text/constrain.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N = 300 };
static char text[N][4];
static size_t len[N];

static const char *piece(const void *arg, uint32_t id, size_t *ret_n)
{
    (void)arg;
    *ret_n = len[id];
    return text[id];
}

static bool is_end(const void *arg, uint32_t id)
{
    (void)arg;
    return id == N - 1;
}

static struct weir_toktrie *make_trie(void)
{
    static const char letters[] = "ab\"{}[]:, 0\xC3\xA9\xE2\x82\xAC\n";
    const struct weir_toktrie_source s = { N, NULL, piece, is_end };
    struct weir_toktrie *t = NULL;
    for (int i = 0; i < N - 1; i++) {
        len[i] = i < 256 ? 1 : 2 + (size_t)(i % 2);
        text[i][0] = (char)i;
        for (size_t k = 0; i >= 256 && k < len[i]; k++)
            text[i][k] = letters[(size_t)(i * 7 + (int)k * 5) % (sizeof(letters) - 1)];
    }
    if (weir_toktrie_new(&s, &t, NULL) < 0)
        abort();
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_toktrie *trie;
    struct weir_gbnf *g = NULL;
    struct weir_constrain *c = NULL;
    struct weir_err err;
    float logits[N];
    const uint8_t *zero = memchr(data, 0, size);
    const size_t n = zero ? (size_t)(zero - data) : size;
    if (!trie)
        trie = make_trie();
    if (weir_gbnf_parse((const char *)data, n, &g, &err) < 0)
        return 0;
    if (weir_constrain_new(g, trie, 64 << 10, &c, &err) == 0) {
        for (size_t i = n + 1, steps = 0; i < size && steps < 40; i++, steps++) {
            memset(logits, 0, sizeof(logits));
            const bool may_end = weir_constrain_may_end(c);
            const int r = weir_constrain_mask(c, logits, N, &err);
            if (r < 0)
                break;
            if ((logits[N - 1] != -INFINITY) != may_end)
                abort();
            /* a byte of the input, or a token of several */
            const uint32_t id =
                data[i] == 1 && i + 1 < size ? 256 + data[++i] % (N - 256) : data[i];
            const bool allowed = logits[id] != -INFINITY;
            const int a = weir_constrain_accept(c, id, &err);
            if (a == -E2BIG)
                break;
            if ((a == 0) != allowed)
                abort();
            if (weir_constrain_ended(c) && !weir_constrain_may_end(c))
                abort();
        }
    }
    weir_constrain_free(c);
    weir_gbnf_free(g);
    return 0;
}
