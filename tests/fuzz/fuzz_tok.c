/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for tokenizers: the input is a GGUF file; where it holds a tokenizer, the input
 * is also the text that is encoded, decoded and streamed. */
#include "config.h"

#include "mmap/map.h"
#include "src/text/stream.h"
#include "src/text/tok.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void remove_file(void);
static char path[64];

static void remove_file(void) { unlink(path); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        snprintf(path, sizeof(path), "/tmp/fuzz_tok.%ld.gguf", (long)getpid());
        atexit(remove_file);
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();

    struct weir_map *m = NULL;
    struct weir_tok *t = NULL;
    struct weir_err err;
    if (!weir_map_open(path, &m, &err)) {
        (void)weir_tok_memusage(m);
        (void)weir_tok_load(m, &t, &err);
    }
    weir_map_close(m);
    if (!t)
        return 0;

    struct weir_tok_ids ids = { 0 };
    for (unsigned flags = 0; flags < 4; flags++)
        (void)weir_tok_encode(t, (const char *)data, size < 4096 ? size : 4096, flags, &ids, &err);
    static const char *const stops[] = { "ab", "</s>", "\xE2\x96\x81" };
    struct weir_stream s;
    weir_stream_init(&s, t, stops, 3, true);
    const char *p;
    size_t n;
    for (size_t i = 0; i < ids.n && i < 2000; i++) {
        if (ids.v[i].id >= weir_tok_n_vocab(t) || ids.v[i].start > ids.v[i].end ||
            ids.v[i].end > size)
            abort();
        (void)weir_stream_push(&s, ids.v[i].id, &p, &n);
    }
    (void)weir_stream_flush(&s, &p, &n);
    weir_stream_done(&s);
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
    return 0;
}
