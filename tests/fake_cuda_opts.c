/* SPDX-License-Identifier: MIT
 * Owns the words of WEIR_FAKE_CUDA. */
#include "config.h"

#include "base/num.h"
#include "tests/fake_cuda.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum kind { SIZE, RATE, SECONDS, COUNT, DEVICES, FLAG, TEXT };

static const struct word {
    const char *name;
    enum kind kind;
    size_t at;
} words[] = {
#define WORD(name, kind, field)                                                                    \
    {                                                                                              \
        name, kind, offsetof(struct fake_cuda_opts, field)                                         \
    }
    WORD("devices", DEVICES, devices),
    WORD("mem", SIZE, mem_bytes),
    WORD("taken", SIZE, taken_bytes),
    WORD("copy", RATE, copy_rate),
    WORD("vram", RATE, vram_rate),
    WORD("launch", SECONDS, launch_seconds),
    WORD("integrated", FLAG, integrated),
    WORD("simulate", FLAG, simulate),
    WORD("fail_alloc", COUNT, fail_alloc),
    WORD("fail_copy", COUNT, fail_copy),
    WORD("fail_launch", COUNT, fail_launch),
    WORD("late", FLAG, late),
    WORD("lose", COUNT, lose),
    WORD("skip", COUNT, skip),
    WORD("loose", FLAG, loose),
    WORD("kernels", FLAG, kernels),
    WORD("no_pin", FLAG, no_pin),
    WORD("log", TEXT, log),
#undef WORD
};

static int set(const struct word *w, const char *value, struct fake_cuda_opts *o,
               struct weir_err *err)
{
    void *to = (char *)o + w->at;
    uint64_t size = 0;
    int64_t n = 0;
    int r = 0;

    switch (w->kind) {
    case SIZE: return weir_size_parse(value, to, err);
    case RATE:
        r = weir_size_parse(value, &size, err);
        *(double *)to = (double)size;
        return r;
    case SECONDS: return weir_float_parse(value, 0, 60, to, err);
    case COUNT:
        r = weir_int_parse(value, 0, INT64_MAX, &n, err);
        *(uint64_t *)to = (uint64_t)n;
        return r;
    case DEVICES:
        r = weir_int_parse(value, 0, 64, &n, err);
        *(unsigned *)to = (unsigned)n;
        return r;
    case FLAG: *(bool *)to = true; return 0;
    case TEXT: *(const char **)to = value; return 0;
    }
    return 0;
}

int fake_cuda_parse(char *text, struct fake_cuda_opts *o, struct weir_err *err)
{
    char *save = NULL;

    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *value = strchr(word, '=');
        size_t i = 0;
        if (value)
            *value++ = 0;
        while (i < sizeof(words) / sizeof(words[0]) && strcmp(words[i].name, word))
            i++;
        if (i == sizeof(words) / sizeof(words[0]) || (words[i].kind != FLAG) != (value != NULL))
            return weir_fail(err, -EINVAL, "the fake device has no setting '%s%s'", word,
                             value ? "=..." : "");
        const int r = set(&words[i], value, o, err);
        if (r < 0)
            return r;
    }
    return 0;
}
