/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of the GLM family (arXiv:2406.12793): ChatGLM-6B ("chatglm1"), ChatGLM2,
 * ChatGLM3 and GLM-4-9B ("chatglm"), GLM-4-0414 ("glm4").
 *
 * ChatGLM-6B is a prefix model (GLM, arXiv:2103.10360): the tokens before <sop> see each other both
 * ways, and a head has two halves, turned by a token's place in the context and by its place after
 * it.  So the keys of the whole context must be there before the first row attends: the context has
 * to fit one pass, and one that does not is refused (src/run/session.c).  The residual stream goes
 * on from the normalised input times sqrt(2 * 28), 28 being the layers of the one model of this
 * form.
 */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"
#include "mmap/meta.h"

#include <errno.h>
#include <math.h>

extern const struct weir_arch weir_arch_chatglm1, weir_arch_chatglm, weir_arch_glm4;

static int tune_chatglm1(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    static const char *const keys[] = { "chatglm1.attention.start_token",
                                        "chatglm1.attention.gmask_token",
                                        "chatglm1.attention.mask_token" };
    uint64_t id[3];
    for (unsigned i = 0; i < 3; i++) {
        const int have = weir_meta_u64(m, keys[i], &id[i], err);
        if (have < 0)
            return have;
        if (!have)
            return weir_fail(err, -EINVAL, "the model does not say %s", keys[i]);
        if (id[i] >= c->n_vocab)
            return weir_fail(err, -EINVAL, "%s is %llu, outside the vocabulary of %u", keys[i],
                             (unsigned long long)id[i], c->n_vocab);
    }
    if (c->head_dim % 4)
        return weir_fail(err, -EINVAL, "heads of %u elements have no halves to turn", c->head_dim);
    c->both_ways = true;
    c->start_token = (uint32_t)id[0];
    c->mask_tokens[0] = (uint32_t)id[1];
    c->mask_tokens[1] = (uint32_t)id[2];
    c->rot_dim = c->head_dim / 2;
    c->norm_residual = sqrtf(2 * 28);
    return 0;
}

const struct weir_arch weir_arch_chatglm1 = {
    .name = "chatglm1",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qkv = WEIR_QKV_PER_GROUP, /* a group is a head */
    .ffn = WEIR_FFN_GELU,
    .qkv_bias = true,
    .ffn_bias = true,
    .layer_norm = true,
    .fused = true,
    .rope_2d = true,
    .tune = tune_chatglm1,
    .layers = weir_block_layers,
};

/* Half of each head turns, by adjacent elements: rope.dimension_count says so. */
const struct weir_arch weir_arch_chatglm = {
    .name = "chatglm",
    .rope_pairs = WEIR_ROPE_ADJACENT,
    .qkv = WEIR_QKV_STACKED,
    .qkv_bias = true,
    .fused = true,
    .layers = weir_block_layers,
};

const struct weir_arch weir_arch_glm4 = {
    .name = "glm4",
    .rope_pairs = WEIR_ROPE_ADJACENT,
    .qkv = WEIR_QKV_STACKED,
    .qkv_bias = true,
    .post_norm = true,
    .fused = true,
    .layers = weir_block_layers,
};
