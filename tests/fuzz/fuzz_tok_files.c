/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for the tokenizers of folders: the input is a file, known by its content
 * (tokenizer.json, sentencepiece's protocol buffer, tiktoken's ranks), and the text that is encoded
 * with what came of it. */
#include "config.h"

#include "src/text/tok.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void) { unlink(path); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        snprintf(path, sizeof(path), "/tmp/fuzz_tok_files.%ld", (long)getpid());
        atexit(remove_file);
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
    struct weir_tok *t = NULL;
    struct weir_err err;
    struct weir_tok_ids ids = { 0 };
    if (weir_tok_open(path, &t, &err))
        return 0;
    const size_t n = size < 2048 ? size : 2048;
    const struct weir_tok_range plain[] = { { 3, 9 }, { 20, 300 } };
    for (unsigned flags = 0; flags < 4; flags++)
        (void)weir_tok_encode_parts(t, (const char *)data + size - n, n, flags, plain, 2, &ids,
                                    &err);
    for (size_t i = 0; i < ids.n; i++) {
        size_t m;
        if (ids.v[i].id >= weir_tok_n_vocab(t) || ids.v[i].start > ids.v[i].end || ids.v[i].end > n)
            abort();
        (void)weir_tok_piece(t, ids.v[i].id, true, &m);
    }
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
    return 0;
}
