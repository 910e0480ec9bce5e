/* SPDX-License-Identifier: MIT
 *
 * For tests of src/text: GGUF files with a vocabulary and nothing else, made in memory and written
 * to a folder of the test's own. */
#ifndef WEIR_TESTS_TEXT_VOCAB_H
#define WEIR_TESTS_TEXT_VOCAB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vocab_file {
    uint8_t *p;
    size_t n, cap;
    uint64_t n_kv;
};

__attribute__((unused)) static void vf_put(struct vocab_file *f, const void *p, size_t n)
{
    if (f->n + n > f->cap) {
        f->cap = 2 * (f->n + n) + 256;
        f->p = realloc(f->p, f->cap);
        if (!f->p)
            abort();
    }
    if (n)
        memcpy(f->p + f->n, p, n);
    f->n += n;
}

__attribute__((unused)) static void vf_u32(struct vocab_file *f, uint32_t v) { vf_put(f, &v, 4); }
__attribute__((unused)) static void vf_u64(struct vocab_file *f, uint64_t v) { vf_put(f, &v, 8); }

__attribute__((unused)) static void vf_bytes(struct vocab_file *f, const void *p, size_t n)
{
    vf_u64(f, n);
    vf_put(f, p, n);
}

__attribute__((unused)) static void vf_key(struct vocab_file *f, const char *key, uint32_t type)
{
    char full[96];
    snprintf(full, sizeof(full), "%s%s", strchr(key, '.') ? "" : "tokenizer.ggml.", key);
    vf_bytes(f, full, strlen(full));
    vf_u32(f, type);
    f->n_kv++;
}

__attribute__((unused)) static void vf_kv_str(struct vocab_file *f, const char *key, const char *v)
{
    vf_key(f, key, 8);
    vf_bytes(f, v, strlen(v));
}

__attribute__((unused)) static void vf_kv_u32(struct vocab_file *f, const char *key, uint32_t v)
{
    vf_key(f, key, 4);
    vf_u32(f, v);
}

__attribute__((unused)) static void vf_kv_bool(struct vocab_file *f, const char *key, bool v)
{
    const uint8_t b = v;
    vf_key(f, key, 7);
    vf_put(f, &b, 1);
}

/* An array's head; its N elements are put after it. */
__attribute__((unused)) static void vf_kv_list(struct vocab_file *f, const char *key, uint32_t type,
                                               uint64_t n)
{
    vf_key(f, key, 9);
    vf_u32(f, type);
    vf_u64(f, n);
}

__attribute__((unused)) static void vf_start(struct vocab_file *f)
{
    f->n = 0;
    f->n_kv = 0;
    vf_put(f, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    vf_kv_str(f, "general.architecture", "llama");
}

/* Write it to PATH. */
__attribute__((unused)) static void vf_save(struct vocab_file *f, const char *path)
{
    static const uint8_t zero[32];
    memcpy(f->p + 16, &f->n_kv, 8);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(f->p, 1, f->n, out) != f->n ||
        fwrite(zero, 1, (32 - f->n % 32) % 32, out) > 32 || fclose(out))
        abort();
}

struct vocab_word {
    const char *text;
    float score;
    int32_t type;
};

/* A sentencepiece vocabulary: <unk> <s> </s>, 256 byte tokens (ids 3..258), then the N words. */
__attribute__((unused)) static void vf_spm(struct vocab_file *f, const struct vocab_word *w,
                                           unsigned n)
{
    static const char *const first[] = { "<unk>", "<s>", "</s>" };
    static const int32_t types[] = { 2, 3, 3 };
    char byte[8];
    vf_start(f);
    vf_kv_str(f, "model", "llama");
    vf_kv_list(f, "tokens", 8, 259 + n);
    for (unsigned i = 0; i < 259 + n; i++) {
        snprintf(byte, sizeof(byte), "<0x%02X>", (i - 3) & 255);
        const char *s = i < 3 ? first[i] : i < 259 ? byte : w[i - 259].text;
        vf_bytes(f, s, strlen(s));
    }
    vf_kv_list(f, "scores", 6, 259 + n);
    for (unsigned i = 0; i < 259 + n; i++) {
        const float s = i < 259 ? 0 : w[i - 259].score;
        vf_put(f, &s, 4);
    }
    vf_kv_list(f, "token_type", 5, 259 + n);
    for (unsigned i = 0; i < 259 + n; i++)
        vf_u32(f, (uint32_t)(i < 3 ? types[i] : i < 259 ? 6 : w[i - 259].type));
}

/* The character that stands for byte B in a byte-level vocabulary, as UTF-8. */
__attribute__((unused)) static const char *vf_letter(unsigned b)
{
    static char out[256][3];
    unsigned next = 256;
    for (unsigned i = 0; i < 256; i++) {
        const unsigned c = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174 ? i : next++;
        if (c < 128) {
            out[i][0] = (char)c;
        } else {
            out[i][0] = (char)(0xC0 | c >> 6);
            out[i][1] = (char)(0x80 | (c & 63));
        }
    }
    return out[b];
}

/* A byte-level vocabulary: the 256 bytes (id = byte), then the N words; MERGES as in the file. */
__attribute__((unused)) static void vf_bpe(struct vocab_file *f, const char *pre,
                                           const struct vocab_word *w, unsigned n,
                                           const char *const *merges, unsigned n_merge)
{
    vf_start(f);
    vf_kv_str(f, "model", "gpt2");
    if (pre)
        vf_kv_str(f, "pre", pre);
    vf_kv_list(f, "tokens", 8, 256 + n);
    for (unsigned i = 0; i < 256 + n; i++) {
        const char *s = i < 256 ? vf_letter(i) : w[i - 256].text;
        vf_bytes(f, s, strlen(s));
    }
    vf_kv_list(f, "token_type", 5, 256 + n);
    for (unsigned i = 0; i < 256 + n; i++)
        vf_u32(f, (uint32_t)(i < 256 ? 1 : w[i - 256].type));
    vf_kv_list(f, "merges", 8, n_merge);
    for (unsigned i = 0; i < n_merge; i++)
        vf_bytes(f, merges[i], strlen(merges[i]));
}

/* A folder that goes away with the test's own cleaning up. */
__attribute__((unused)) static const char *vf_tmp(void)
{
    static char dir[256];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/weir-text-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir))
        abort();
    return dir;
}

__attribute__((unused)) static uint64_t vf_random(uint64_t *s)
{
    uint64_t z = *s += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

#endif
