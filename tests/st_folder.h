/* SPDX-License-Identifier: MIT
 *
 * For tests that write small models as safetensors folders: a list of arrays, changed at will and
 * written with plausible bytes.  What is wrong with one is told by its case, not by a file.
 * Included by a test program. */
#ifndef WEIR_TESTS_ST_FOLDER_H
#define WEIR_TESTS_ST_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HID    64
#define FFN    96
#define VOCAB  48
#define Q_PROJ "model.layers.0.self_attn.q_proj"

struct array {
    char name[128];
    const char *dtype;
    int n_dim;
    uint64_t dim[4]; /* in the order of the file: the row length is the last */
    bool whole;      /* the integers are all FIRST and not random */
    int64_t first;   /* the first integer, when not 0 */
    const char *text;
};

struct folder {
    struct array v[48];
    unsigned n;
};

static struct array *find_array(struct folder *f, const char *name)
{
    for (unsigned i = 0; i < f->n; i++)
        if (!strcmp(f->v[i].name, name))
            return &f->v[i];
    return NULL;
}

static void drop_array(struct folder *f, const char *name)
{
    struct array *a = find_array(f, name);
    if (a)
        *a = f->v[--f->n];
}

/* The array NAME, new or another; D1 < 0: it has one dimension. */
static struct array *put_array(struct folder *f, const char *name, const char *dtype, int64_t d0,
                               int64_t d1)
{
    struct array *a = find_array(f, name);
    if (!a && f->n == sizeof(f->v) / sizeof(f->v[0]))
        abort();
    a = a ? a : &f->v[f->n++];
    *a = (struct array){ .dtype = dtype,
                         .n_dim = d1 < 0 ? 1 : 2,
                         .dim = { (uint64_t)d0, d1 < 0 ? 1 : (uint64_t)d1, 1, 1 } };
    snprintf(a->name, sizeof(a->name), "%s", name);
    return a;
}

static void put_layers(struct folder *f)
{
    static const struct {
        const char *name;
        int64_t n, k;
    } plain[] = {
        { "model.embed_tokens.weight", VOCAB, HID },
        { Q_PROJ ".weight", HID, HID },
        { "model.layers.0.self_attn.k_proj.weight", HID, HID },
        { "model.layers.0.self_attn.v_proj.weight", HID, HID },
        { "model.layers.0.self_attn.o_proj.weight", HID, HID },
        { "model.layers.0.mlp.gate_proj.weight", FFN, HID },
        { "model.layers.0.mlp.up_proj.weight", FFN, HID },
        { "model.layers.0.mlp.down_proj.weight", HID, FFN },
        { "model.layers.0.input_layernorm.weight", HID, -1 },
        { "model.layers.0.post_attention_layernorm.weight", HID, -1 },
        { "model.norm.weight", HID, -1 },
        { "lm_head.weight", VOCAB, HID },
    };
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        put_array(f, plain[i].name, "F16", plain[i].n, plain[i].k);
}

static unsigned dtype_bytes(const char *d)
{
    const size_t n = strlen(d);
    if (!strcmp(d, "F8_E4M3"))
        return 1;
    return !strcmp(d + n - 2, "64") ? 8 : !strcmp(d + n - 2, "32") ? 4 : d[n - 1] == '6' ? 2 : 1;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f))
        abort();
}

/* Floats are around 1/32, or -1/32; integers random. */
static void fill_array(const struct array *a, uint8_t *p, uint64_t n)
{
    static uint32_t rnd = 1;
    const unsigned size = dtype_bytes(a->dtype);
    for (uint64_t i = 0; i < n; i++) {
        rnd = rnd * 1664525 + 1013904223;
        p[i] = (uint8_t)(rnd >> 24);
    }
    if (!strcmp(a->dtype, "F8_E4M3"))
        for (uint64_t i = 0; i < n; i++)
            p[i] &= 0x8f; /* small, and never NaN */
    for (uint64_t i = 0; i + size <= n; i += size) {
        const int64_t v = a->first;
        const double two = 0.0625;
        uint8_t *top = p + i + size - 1; /* sign and exponent */
        if (!strcmp(a->dtype, "F16")) {
            *top = (uint8_t)((*top & 0x83) | 0x28);
        } else if (!strcmp(a->dtype, "BF16") || !strcmp(a->dtype, "F32")) {
            *top = (uint8_t)((*top & 0x80) | 0x3d);
            top[-1] &= 0x7f;
        } else if (!strcmp(a->dtype, "F64"))
            memcpy(p + i, &two, 8);
        else if (a->whole || (a->first && !i))
            memcpy(p + i, &v, size);
    }
    if (strstr(a->name, ".g_idx") && size == 4)
        for (uint64_t i = 0; i < n / 4; i++) {
            const int32_t g = a->first && !i ? (int32_t)a->first : (int32_t)(i / 32);
            memcpy(p + 4 * i, &g, 4);
        }
    for (uint64_t i = 0; a->text && a->text[i] && i < n; i++)
        p[i] = a->text[i] == '\'' ? '"' : (uint8_t)a->text[i];
}

/* F as the file PATH, without its last CUT bytes.  An array said to be above 1 MiB has 1 MiB. */
static void write_arrays(const struct folder *f, const char *path, size_t cut)
{
    static char head[48 * 256];
    uint64_t bytes[48], at = 0, n = 0;
    for (unsigned i = 0; i < f->n; i++) {
        const struct array *a = &f->v[i];
        double all = dtype_bytes(a->dtype);
        for (int k = 0; k < a->n_dim; k++)
            all *= (double)a->dim[k];
        bytes[i] = all < 1 << 20 ? (uint64_t)all : 1 << 20;
        n +=
            (uint64_t)snprintf(head + n, sizeof(head) - n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                               i ? "," : "{", a->name, a->dtype);
        for (int k = 0; k < a->n_dim; k++)
            n += (uint64_t)snprintf(head + n, sizeof(head) - n, "%s%llu", k ? "," : "",
                                    (unsigned long long)a->dim[k]);
        n += (uint64_t)snprintf(head + n, sizeof(head) - n, "],\"data_offsets\":[%llu,%llu]}",
                                (unsigned long long)at, (unsigned long long)(at + bytes[i]));
        at += bytes[i];
    }
    n += (uint64_t)snprintf(head + n, sizeof(head) - n, "}");
    uint8_t *p = calloc(1, at + 1);
    FILE *file = fopen(path, "wb");
    if (!p || !file)
        abort();
    at = 0;
    for (unsigned i = 0; i < f->n; at += bytes[i++])
        fill_array(&f->v[i], p + at, bytes[i]);
    if (fwrite(&n, 8, 1, file) != 1 || fwrite(head, 1, n, file) != n ||
        fwrite(p, 1, at - cut, file) != at - cut || fclose(file))
        abort();
    free(p);
}

/* config.json in the folder PATH; QUANT: more members of it, after a comma. */
static void write_config(const char *path, const char *quant)
{
    char file[600], text[2000];
    snprintf(file, sizeof(file), "%s/config.json", path);
    snprintf(text, sizeof(text),
             "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\","
             "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":1,"
             "\"num_attention_heads\":4,\"num_key_value_heads\":4,\"rms_norm_eps\":1e-5,"
             "\"vocab_size\":%d,\"max_position_embeddings\":64,\"hidden_act\":\"silu\","
             "\"tie_word_embeddings\":false%s}",
             HID, FFN, VOCAB, quant);
    write_text(file, text);
}

#endif
