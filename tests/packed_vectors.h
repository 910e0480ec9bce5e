/* The part of checkpacked.c, which includes this in its midst, that holds decoding against tensors
 * made and decoded by the programs that write these formats. */
#ifndef WEIR_PACKED_VECTORS_H
#define WEIR_PACKED_VECTORS_H

static char head[1 << 14];
static uint8_t file[1 << 18];

/* Where tensor NAME of the safetensors file in `head` and `file` lies, or NULL. */
static const uint8_t *tensor(const char *name, uint64_t bytes)
{
    char key[64];
    unsigned long a, b;
    const char *p;

    snprintf(key, sizeof key, "\"%s\":", name);
    p = strstr(head, key);
    p = p ? strstr(p, "\"data_offsets\":") : NULL;
    if (!p || sscanf(p + 15, " [%lu , %lu", &a, &b) != 2 || b - a != bytes || b > sizeof file)
        return NULL;
    return file + a;
}

static int load(const char *dir, const char *name)
{
    char path[4096];
    uint64_t n;

    snprintf(path, sizeof path, "%s/%s.safetensors", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    int good = fread(&n, 8, 1, f) == 1 && n < sizeof head && fread(head, n, 1, f) == 1;
    head[good ? n : 0] = 0;
    good = good && fread(file, 1, sizeof file, f) > 0;
    fclose(f);
    return good;
}

/* A file of a matrix of 64 by 256, or of l->n[0] by l->k[0]. */
static void check_vector(const char *dir, const char *name, const struct layout *l)
{
    static const char *const names[3][WEIR_AUX_COUNT] = { { "scales", "qzeros", "g_idx" },
                                                          { "weight_scale", "", "" },
                                                          { "q_scale", "", "" } };
    static const char *const weights[3] = { "qweight", "weight", "q_weight" };
    static struct matrix a;
    static float got[256 * 64], lines[256 * 64];
    const uint32_t n = l->n[0] ? l->n[0] : 64, k = l->k[0] ? l->k[0] : 256;
    const uint8_t *want;
    int family = 1, good = 1;

    if (!dir || !load(dir, name)) {
        skip(name, dir ? "no such file" : "WEIR_DATA is not set");
        return;
    }
    if (l->scheme <= S(GPTQ_OLD))
        family = 0;
    else if (l->scheme == S(MLC_ROWS) || l->scheme == S(MLC_COLS))
        family = 2;
    if (matrix_place(&a, l, n, k)) {
        ok(0, "%s: is a matrix", name);
        return;
    }
    if (l->scheme == S(AWQ_GEMV)) { /* padded wider than it must be */
        a.p.aux_line = 32;
        good &= !weir_packing_init(&a.p, 0);
        for (int i = 0; i < 2; i++)
            a.m.aux[i] = edge_end(EDGE_SCALE + i, a.p.aux_bytes[i]);
    }
    const uint8_t *q = tensor(weights[family], a.bytes);
    good &= q != NULL;
    if (q)
        memcpy(a.q, q, a.bytes);
    for (int i = 0; i < WEIR_AUX_COUNT; i++) {
        if (!a.p.aux_bytes[i])
            continue;
        const int old = l->scheme == S(GPTQ_OLD) && i == WEIR_AUX_ZERO;
        const uint8_t *v = tensor(old ? "zeros" : names[family][i], a.p.aux_bytes[i]);
        good &= v != NULL;
        if (v)
            memcpy((uint8_t *)(uintptr_t)a.m.aux[i], v, a.p.aux_bytes[i]);
    }
    want = tensor("expected_NK", (uint64_t)4 * n * k);
    good &= want != NULL;
    if (good && a.p.by_cols)
        weir_packed_lines(&a.m, a.q, 0, k, lines);
    for (uint32_t r = 0; r < n && good; r++) {
        if (!a.p.by_cols)
            weir_packed_row(&a.m, a.q + r * a.p.line_bytes, r, got + r * k);
        for (uint32_t i = 0; i < k && a.p.by_cols; i++)
            got[r * k + i] = lines[i * n + r];
    }
    ok(good && !memcmp(got, want, (size_t)4 * n * k), "%s: decoded bit for bit", name);
}

static void check_vectors(void)
{
    const char *data = getenv("WEIR_DATA"), *src = getenv("srcdir_abs");
    char dir[4096], here[4096], name[64];

    snprintf(dir, sizeof dir, "%s/vectors/quant", data ? data : "");
    snprintf(here, sizeof here, "%s/tests/files/packed", src ? src : "..");
#define VECTOR(file, ...)                                                                          \
    check_vector(data ? dir : NULL, file, &(struct layout){ file, __VA_ARGS__ })
#define ALL { 0 }, { 0 }
    VECTOR("awq_gemm_b4_g32", S(AWQ_GEMM), 4, 0, F16, 32, 1, 0, 0, ALL);
    VECTOR("awq_gemv_b4_g32", S(AWQ_GEMV), 4, 0, F16, 32, 1, 0, 0, ALL);
    VECTOR("chatglm_int4", S(CHATGLM), 4, 0, F16, 0, 1, 0, 0, ALL);
    VECTOR("chatglm_int8", S(CHATGLM), 8, 0, F16, 0, 1, 0, 0, ALL);
    VECTOR("mlc_q3f16_0", S(MLC_COLS), 3, 0, F16, 40, 1, 0, 0, ALL);
    VECTOR("mlc_q3f16_1", S(MLC_ROWS), 3, 0, F16, 40, 1, 0, 0, ALL);
    VECTOR("mlc_q4f16_0", S(MLC_COLS), 4, 0, F16, 32, 1, 0, 0, ALL);
    VECTOR("mlc_q4f16_1", S(MLC_ROWS), 4, 0, F16, 32, 1, 0, 0, ALL);
    VECTOR("mlc_q4f32_1", S(MLC_ROWS), 4, 0, BF16, 32, 1, 0, 0, ALL);
    for (int i = 0; i < 4; i++) {
        const uint8_t bits = (uint8_t[]){ 2, 3, 4, 8 }[i];
        snprintf(name, sizeof name, "gptq_for_llama_old_b%d_perchannel", bits);
        VECTOR(name, S(GPTQ_OLD), bits, 0, F32, 0, 1, 0, 0, ALL);
        for (uint8_t v = 1; v <= 2; v++)
            for (int order = 0; order < 2; order++) {
                snprintf(name, sizeof name, "gptq_v%d_b%d_g32%s", v, bits,
                         order ? "_actorder" : "");
                VECTOR(name, S(GPTQ), bits, (uint8_t)(2 - v), F16, 32, 1, order, 0, ALL);
            }
    }
#define SMALL(file, ...)                                                                           \
    check_vector(here, file, &(struct layout){ file, __VA_ARGS__, { 8 }, { 128 } })
    SMALL("nf4", S(BNB_NF4), 4, 0, F32, 64, 1, 0, 0);
    SMALL("fp4", S(BNB_FP4), 4, 0, F32, 64, 1, 0, 0);
    SMALL("int8", S(INT8), 8, 0, F32, 0, 1, 0, 0);
    SMALL("ct4", S(CT_ROWS), 4, 0, BF16, 32, 1, 0, 0);
    SMALL("ct8", S(CT_ROWS), 8, 0, BF16, 128, 1, 0, 0);
    SMALL("fp8", S(FP8_E4M3), 8, 0, F32, 0, 1000, 0, 0);
}

#endif
