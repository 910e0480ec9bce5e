/* SPDX-License-Identifier: MIT
 *
 * The CUDA kernels that work on rows of activations, on the cache and on logits, against the plain
 * C of every operation: bit by bit, but for exp, tanh and the sums of norms. */
#include "config.h"

#include "tests/emu_ops.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define BOUND 1e-6 /* relative to the largest; 2e-7 measured */
#define F     sizeof(float)

/* Blocks of 32: ordinary ones, then what rounding can go wrong with. */
static void spice(float *x, size_t n)
{
    for (size_t b = 0; b + 32 <= n; b += 32)
        switch (b / 32 % 9) {
        case 1: x[b + 3] = NAN; break;
        case 2: x[b + 31] = -INFINITY; break;
        case 3:
            for (int i = 0; i < 32; i++)
                x[b + (size_t)i] = i % 2 ? 0.0f : -0.0f;
            break;
        case 4:
            for (int i = 0; i < 32; i++)
                x[b + (size_t)i] *= 1e-36f;
            break;
        case 5: /* ties: multiples of half a step */
            for (int i = 0; i < 32; i++)
                x[b + (size_t)i] = (float)(i - 16) * 0.5f;
            x[b] = 127;
            break;
        case 6:
            for (int i = 0; i < 32; i++)
                x[b + (size_t)i] *= 3e37f;
            break;
        case 7: x[b + 9] = -x[b + 20]; break;
        case 8: x[b + 1] = 3e38f, x[b + 2] = -3e38f; break;
        default: break;
        }
}

static void check_act(void)
{
    static const uint32_t sizes[][2] = {
        { 1, 32 }, { 3, 96 }, { 2, 1024 }, { 5, 160 }, { 9, 288 }
    };
    struct worst w = { 0 };

    for (unsigned i = 0; i < 5; i++) {
        const uint32_t n_tok = sizes[i][0], k = sizes[i][1];
        const size_t n = (size_t)n_tok * k;
        float *x = floats(n);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_ACT_Q8,
                                   .act_q8.act = { .n_tok = n_tok, .k = k } };
        struct operand o[] = { { &op.act_q8.act.f32, .init = x, .bytes = n * F, .elem = 4 },
                               { &op.act_q8.to.q, .bytes = n, .elem = 1 },
                               { &op.act_q8.to.d, .bytes = n / 32 * F, .elem = 4 },
                               { &op.act_q8.to.s, .bytes = n / 32 * F, .elem = 4 },
                               { &op.act_q8.to.b, .bytes = n / 16 * 2, .elem = 2 } };
        spice(x, n);
        compare_once(&w, "act_q8", &op, o, 5, 0);
        free(x);
    }
    report(&w, "act_q8");
}

static void check_norm(void)
{
    static const uint32_t sizes[][2] = { { 1, 1 },    { 3, 7 },    { 17, 64 }, { 9, 80 },
                                         { 2, 1024 }, { 2, 1025 }, { 3, 2052 } };
    struct worst w = { 0 };

    for (unsigned i = 0; i < 4 * 7; i++) {
        const uint32_t n = sizes[i / 4][0], width = sizes[i / 4][1];
        const bool layer = i & 1, in_place = i & 2;
        float *x = floats((size_t)n * width), *by = floats(width), *b = floats(width);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_NORM,
                                   .norm = { .n = n, .width = width, .eps = 1e-5f } };
        struct operand o[] = {
            { in_place ? (void *)&op.norm.y : &op.norm.x, in_place ? &op.norm.x : NULL, x,
              (size_t)n * width * F, 4, .is_float = true },
            { &op.norm.w, .init = by, .bytes = width * F, .elem = 4 },
            { &op.norm.b, .init = b, .bytes = width * F, .elem = 4 },
            { &op.norm.y, .bytes = (size_t)n * width * F, .elem = 4, .is_float = true },
        };
        char name[64];
        snprintf(name, sizeof(name), "%u rows of %u%s%s", n, width, layer ? ", layer" : "",
                 in_place ? ", in place" : "");
        struct operand used[4] = { o[0], o[1] };
        unsigned k = 2;
        if (layer)
            used[k++] = o[2];
        if (!in_place)
            used[k++] = o[3];
        for (unsigned j = 0; j < width; j++)
            x[j] += 3; /* a mean that is not 0 */
        compare_once(&w, name, &op, used, k, BOUND);
        free(x);
        free(by);
        free(b);
    }
    report(&w, "norm");
}

static void check_split(void)
{
    static const uint32_t sizes[][4] = { { 1, 4, 2, 8 }, { 3, 6, 3, 6 }, { 2, 5, 1, 80 } };
    struct worst w = { 0 };

    for (unsigned i = 0; i < 2 * 3; i++) {
        const uint32_t *s = sizes[i / 2];
        const size_t q = (size_t)s[0] * s[1] * s[3], kv = (size_t)s[0] * s[2] * s[3];
        float *x = floats(q + 2 * kv);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_SPLIT,
                                   .split = { .n_tok = s[0],
                                              .n_head = s[1],
                                              .n_head_kv = s[2],
                                              .hd = s[3],
                                              .per_group = i & 1 } };
        struct operand o[] = { { &op.split.qkv, .init = x, .bytes = (q + 2 * kv) * F, .elem = 4 },
                               { &op.split.q, .bytes = q * F, .elem = 4 },
                               { &op.split.k, .bytes = kv * F, .elem = 4 },
                               { &op.split.v, .bytes = kv * F, .elem = 4 } };
        compare_once(&w, "split", &op, o, 4, 0);
        free(x);
    }
    report(&w, "split");
}

static void check_rope(void)
{
    static const uint32_t sizes[][5] = { /* tokens, heads, hd, rot_dim, first */
                                         { 1, 3, 8, 8, 0 },
                                         { 4, 5, 80, 32, 16 },
                                         { 2, 33, 64, 64, 0 }
    };
    struct worst w = { 0 };

    for (unsigned i = 0; i < 2 * 3; i++) {
        const uint32_t *s = sizes[i / 2];
        const size_t n = (size_t)s[0] * s[1] * s[2];
        const uint32_t n_z = i % 3;
        const size_t nz = (size_t)s[0] * n_z * s[2];
        float *x = floats(n), *z = floats(nz), *angles = floats((size_t)s[0] * s[3]);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_ROPE,
                                   .rope = { .n_tok = s[0],
                                             .n_head = s[1],
                                             .n_head_z = n_z,
                                             .hd = s[2],
                                             .rot_dim = s[3],
                                             .first = s[4],
                                             .halves = i & 1 } };
        struct operand o[] = { { &op.rope.x, .init = x, .bytes = n * F, .elem = 4 },
                               { &op.rope.angles, .init = angles, .bytes = (size_t)s[0] * s[3] * F,
                                 .elem = 4 },
                               { &op.rope.z, .init = z, .bytes = nz * F, .elem = 4 } };
        compare_once(&w, "rope", &op, o, n_z ? 3 : 2, 0);
        free(x);
        free(z);
        free(angles);
    }
    report(&w, "rope");
}

static void check_glu(void)
{
    /* tokens, width, strides of y, gate and up */
    static const uint32_t sizes[][5] = { { 1, 300, 300, 300, 300 },
                                         { 3, 64, 64, 128, 128 },
                                         { 2, 33, 40, 66, 35 } };
    struct worst w = { 0 };

    for (unsigned i = 0; i < 3 * 3; i++) {
        const uint32_t *s = sizes[i / 3], n_tok = s[0];
        float *gate = floats((size_t)n_tok * s[3]), *up = floats((size_t)n_tok * s[4]);
        float *y = floats((size_t)n_tok * s[2]); /* between rows it stays */
        struct weir_cuda_op op = { .kind = WEIR_CUDA_GLU,
                                   .glu = { .how = (enum weir_cuda_glu)(i % 3),
                                            .n_tok = n_tok,
                                            .width = s[1],
                                            .y_stride = s[2],
                                            .gate_stride = s[3],
                                            .up_stride = s[4] } };
        struct operand o[] = {
            { &op.glu.y, .init = y, .bytes = (size_t)n_tok * s[2] * F, .elem = 4,
              .is_float = true },
            { &op.glu.gate, .init = gate, .bytes = (size_t)n_tok * s[3] * F, .elem = 4 },
            { &op.glu.up, .init = up, .bytes = (size_t)n_tok * s[4] * F, .elem = 4 }
        };
        if (s[2] == s[3] && s[1] == s[2]) { /* in place */
            o[0].also = &op.glu.gate;
            o[1] = o[2];
            compare_once(&w, "glu in place", &op, o, op.glu.how == WEIR_CUDA_GELU ? 1 : 2, BOUND);
        } else {
            compare_once(&w, "glu", &op, o, op.glu.how == WEIR_CUDA_GELU ? 2 : 3, BOUND);
        }
        free(gate);
        free(up);
        free(y);
    }
    report(&w, "glu");
}

static void check_elements(void)
{
    static const uint32_t sizes[] = { 1, 3, 64, 1000, 2048 };
    struct worst w = { 0 }, cap = { 0 };

    for (unsigned i = 0; i < 5; i++) {
        const uint32_t n = sizes[i];
        float *x = floats(3 * n), *y = floats(3 * n);
        struct weir_cuda_op add = { .kind = WEIR_CUDA_ADD, .add = { .n = n, .scale = 0.7f } };
        struct weir_cuda_op scale = { .kind = WEIR_CUDA_SCALE, .scale = { .n = n, .scale = 1.3f } };
        struct weir_cuda_op cols = { .kind = WEIR_CUDA_SCALE_COLS,
                                     .scale_cols = { .n_tok = 3, .width = n } };
        struct weir_cuda_op soft = { .kind = WEIR_CUDA_SOFTCAP,
                                     .softcap = { .n = n, .cap = 0.8f } };
        struct operand o_add[] = { { &add.add.y, .init = y, .bytes = n * F, .elem = 4 },
                                   { &add.add.x, .init = x, .bytes = n * F, .elem = 4 } };
        struct operand o_scale[] = { { &scale.scale.y, .bytes = n * F, .elem = 4 },
                                     { &scale.scale.x, .init = x, .bytes = n * F, .elem = 4 } };
        struct operand o_cols[] = { { &cols.scale_cols.y, .init = y, .bytes = 3 * n * F,
                                      .elem = 4 },
                                    { &cols.scale_cols.f, .init = x, .bytes = n * F, .elem = 4 } };
        struct operand o_soft[] = { { &soft.softcap.x, .init = x, .bytes = n * F, .elem = 4,
                                      .is_float = true } };
        compare_once(&w, "add", &add, o_add, 2, 0);
        compare_once(&w, "scale", &scale, o_scale, 2, 0);
        compare_once(&w, "scale_cols", &cols, o_cols, 2, 0);
        compare_once(&cap, "softcap", &soft, o_soft, 1, BOUND);
        free(x);
        free(y);
    }
    report(&w, "add, scale, scale_cols");
    report(&cap, "softcap");
}

static void check_kv_store(void)
{
    static const uint32_t hds[] = { 2, 8, 30, 32, 64, 80, 288 };
    const uint32_t n_tok = 3, n_kv = 2, pos = 2, ctx = 6;
    struct worst w = { 0 };

    for (unsigned i = 0; i < 7 * WEIR_KV_COUNT; i++) {
        const uint32_t hd = hds[i / WEIR_KV_COUNT];
        const enum weir_kv_type type = (enum weir_kv_type)(i % WEIR_KV_COUNT);
        const size_t row = weir_kv_row_bytes(type, hd), bytes = n_kv * ctx * row;
        float *k = floats(n_tok * n_kv * hd), *v = floats(n_tok * n_kv * hd);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_KV_STORE,
                                   .kv_store = { .type = type,
                                                 .row_bytes = row,
                                                 .head_stride = ctx * row,
                                                 .n_tok = n_tok,
                                                 .n_head_kv = n_kv,
                                                 .hd = hd,
                                                 .pos = pos } };
        const unsigned elem = type == WEIR_KV_F32 ? 4 : type == WEIR_KV_F16 ? 2 : 1;
        struct operand o[] = {
            { &op.kv_store.k, .init = k, .bytes = n_tok * n_kv * hd * F, .elem = 4 },
            { &op.kv_store.v, .init = v, .bytes = n_tok * n_kv * hd * F, .elem = 4 },
            { &op.kv_store.keys, .bytes = bytes, .elem = elem },
            { &op.kv_store.values, .bytes = bytes, .elem = elem }
        };
        char name[64];
        snprintf(name, sizeof(name), "%s rows of %u", weir_kv_names[type], hd);
        spice(k, n_tok * n_kv * hd);
        compare_once(&w, name, &op, o, 4, 0);
        free(k);
        free(v);
    }
    report(&w, "kv_store");
}

/* N logits, in ways that are hard to choose from. */
static void fill_logits(float *x, uint32_t n, unsigned how)
{
    for (uint32_t i = 0; i < n; i++)
        switch (how) {
        case 1: x[i] = 1.5f; break;
        case 2: x[i] = i % 3 ? NAN : -INFINITY; break;
        case 3: x[i] = (float)(i * 7 % 5) * (i % 2 ? 0.0f : -1.0f); break;
        case 4: x[i] = i % 1024 == 0 ? 100 + (float)i : x[i]; break;
        default: break;
        }
}

static void check_top_k(void)
{
    static const uint32_t sizes[][3] = { /* n, k, how */
                                         { 1, 1, 0 },      { 5, 5, 0 },          { 1000, 1, 0 },
                                         { 1000, 256, 0 }, { 5003, 40, 0 },      { 5003, 1, 0 },
                                         { 3000, 17, 1 },  { 3000, 256, 2 },     { 3000, 200, 3 },
                                         { 3000, 1, 2 },   { 1200 * 1024, 3, 4 }
    };
    struct worst w = { 0 };

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        const uint32_t n = sizes[i][0], k = sizes[i][1];
        float *x = floats(n);
        struct weir_cuda_op op = { .kind = WEIR_CUDA_TOP_K, .top_k = { .n = n, .k = k } };
        struct operand o[] = { { &op.top_k.x, .init = x, .bytes = n * F, .elem = 4 },
                               { &op.top_k.value, .bytes = k * F, .elem = 4 },
                               { &op.top_k.index, .bytes = k * sizeof(uint32_t), .elem = 4 } };
        char name[64];
        snprintf(name, sizeof(name), "%u of %u, kind %u", k, n, sizes[i][2]);
        fill_logits(x, n, sizes[i][2]);
        compare_once(&w, name, &op, o, 3, 0);
        free(x);
    }
    report(&w, "top_k");
}

int main(void)
{
    check_act();
    check_norm();
    check_split();
    check_rope();
    check_glu();
    check_elements();
    check_kv_store();
    check_top_k();
    return done();
}
#endif
