/* SPDX-License-Identifier: MIT
 *
 * The list of architectures: one file each describes them. */
#include "config.h"

#include "src/model/bind.h"

#include <string.h>

#define ARCHS(X)                                                                                   \
    X(llama)                                                                                       \
    X(qwen2)                                                                                       \
    X(qwen3)                                                                                       \
    X(qwen)                                                                                        \
    X(phi3)                                                                                        \
    X(gemma2)                                                                                      \
    X(gemma3)                                                                                      \
    X(internlm2)                                                                                   \
    X(chatglm1)                                                                                    \
    X(chatglm)                                                                                     \
    X(glm4)                                                                                        \
    X(baichuan)

#define DECLARE(name) extern const struct weir_arch weir_arch_##name;
ARCHS(DECLARE)
#define ENTRY(name) &weir_arch_##name,
static const struct weir_arch *const archs[] = { ARCHS(ENTRY) };

const struct weir_arch *weir_arch_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        if (!strcmp(archs[i]->name, name))
            return archs[i];
    return NULL;
}

const char *weir_arch_list(void)
{
#define NAME(name) ", " #name
    static const char list[] = ARCHS(NAME);
    return list + 2;
}
