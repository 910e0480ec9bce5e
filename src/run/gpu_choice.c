/* SPDX-License-Identifier: MIT
 * Owns the meaning of --vram and --gpu.  Engine thread. */
#include "config.h"

#include "src/run/gpu_choice.h"

#include "base/num.h"
#include "prefetch/plan.h"

#include <errno.h>
#include <stdio.h>

#define MARGIN (UINT64_C(256) << 20)

uint64_t weir_gpu_margin(const struct weir_machine *m)
{
    return weir_max_u64(MARGIN, m->vram_total / 32);
}

/* The words of the option, for sentences. */
static const char *asked(const struct weir_gpu_ask *ask, char buf[WEIR_SIZE_STR])
{
    return ask->vram_bytes == WEIR_VRAM_AUTO
               ? "auto"
               : weir_size_format(ask->vram_bytes, buf, WEIR_SIZE_STR);
}

static int open_device(const struct weir_gpu_ask *ask, struct weir_machine *m,
                       struct weir_cuda **ret, struct weir_err *err)
{
    struct weir_cuda_info info = { 0 };
    struct weir_cuda *dev = NULL;
    struct weir_err why = { 0 };
    char a[WEIR_SIZE_STR];
    uint64_t free_bytes = 0;
    int r = ask->ops->info(ask->index, &info, &why);
    if (r < 0)
        return weir_fail(err, -ENODEV, "--vram %s: %s; --vram 0 computes on the CPU", asked(ask, a),
                         why.msg);
    r = ask->ops->open(ask->index, &dev, err);
    if (r < 0)
        return r;
    /* Only now: a device in use takes some of its memory for itself. */
    r = ask->ops->mem_free(dev, &free_bytes, err);
    if (r < 0) {
        ask->ops->close(dev);
        return r;
    }
    snprintf(m->gpu_name, sizeof(m->gpu_name), "%s", info.name);
    m->vram_total = info.total_bytes;
    m->vram_free = free_bytes;
    m->gpu_cache_bytes = info.cache_bytes;
    m->gpu_integrated = info.integrated;
    *ret = dev;
    return 0;
}

/* Of memory that is the host's too: what the run leaves, or most of it; 1 where that is nothing. */
static uint64_t shared(const struct weir_gpu_ask *ask, const struct weir_machine *m)
{
    const uint64_t left = ask->ram_bytes ? m->mem_free - weir_min_u64(ask->ram_bytes, m->mem_free)
                                         : m->mem_free / 4 * 3;
    return weir_max_u64(left, 1);
}

int weir_gpu_choose(const struct weir_gpu_ask *ask, struct weir_machine *m,
                    struct weir_cuda **ret_dev, uint64_t *ret_budget, struct weir_err *err)
{
    const bool automatic = ask->vram_bytes == WEIR_VRAM_AUTO;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    struct weir_cuda *dev = NULL;
    int r = 0;
    if (!ask->vram_bytes || (automatic && (ask->described ? !m->vram_total : !ask->ops->count()))) {
        *ret_dev = NULL;
        *ret_budget = 0;
        return 0;
    }
    if (ask->described && !m->vram_total)
        return weir_fail(err, -ENODEV,
                         "--vram %s: the machine that is described has no GPU; describe one with "
                         "vram=8G,bus=12G,vmem=300G",
                         asked(ask, a));
    if (!ask->described)
        r = open_device(ask, m, &dev, err);
    if (r < 0)
        return r;
    uint64_t budget = ask->vram_bytes;
    if (automatic) {
        const uint64_t margin = weir_gpu_margin(m);
        budget = m->vram_free > margin ? m->vram_free - margin : 1;
        if (m->gpu_integrated)
            budget = weir_min_u64(budget, shared(ask, m));
    }
    if (budget > m->vram_free) {
        if (dev)
            ask->ops->close(dev);
        return weir_fail(err, -ENOSPC,
                         "--vram %s is more than the %s of its memory that %s has free",
                         asked(ask, a), weir_size_format(m->vram_free, b, sizeof(b)),
                         m->gpu_name[0] ? m->gpu_name : "the GPU");
    }
    *ret_dev = dev;
    *ret_budget = budget;
    return 0;
}
