/* SPDX-License-Identifier: MIT
 * Owns the comparison of kinds of cache.  One thread. */
#include "config.h"

#include "src/run/kv_choice.h"

#include "base/num.h"

#include <stdio.h>
#include <string.h>

void weir_kv_choices(const struct weir_plan_in *in, const struct weir_config *cfg, uint32_t ctx,
                     struct weir_kv_choice ret[WEIR_KV_COUNT])
{
    for (int i = 0; i < WEIR_KV_COUNT; i++) {
        struct weir_plan_in with = *in;
        struct weir_plan p = { 0 };
        with.kv_bytes_per_tok = weir_kv_bytes_per_tok(cfg, i);
        ret[i] = (struct weir_kv_choice){ .bytes = with.kv_bytes_per_tok * ctx };
        if (weir_plan_make(&with, &p, NULL) == 0)
            ret[i].ctx = p.ctx;
        weir_plan_done(&p);
    }
}

void weir_kv_hint(const struct weir_kv_choice c[WEIR_KV_COUNT], enum weir_kv_type now,
                  struct weir_err *err)
{
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    bool any = false;
    for (int i = 0; err && i < WEIR_KV_COUNT; i++) {
        const size_t n = strlen(err->msg);
        if (c[i].bytes >= c[now].bytes || !c[i].ctx)
            continue;
        if (any)
            snprintf(err->msg + n, sizeof(err->msg) - n, ", --kv %s %s", weir_kv_names[i],
                     weir_size_format(c[i].bytes, a, sizeof(a)));
        else
            snprintf(err->msg + n, sizeof(err->msg) - n,
                     "; its key/value cache needs %s at %s; --kv %s would take %s and fit",
                     weir_size_format(c[now].bytes, a, sizeof(a)), weir_kv_names[now],
                     weir_kv_names[i], weir_size_format(c[i].bytes, b, sizeof(b)));
        any = true;
    }
}
