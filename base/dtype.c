/* SPDX-License-Identifier: MIT
 * Owns the look-ups into the dtype table.  Any thread. */
#include "config.h"

#include "base/dtype.h"

#include <string.h>
#include <strings.h>

static const struct weir_dtype_info infos[WEIR_DTYPE_COUNT] = {
#define WEIR_DTYPE(ID, name, elems, bytes, ggml) [WEIR_DTYPE_##ID] = { name, elems, bytes, ggml },
#include "base/dtype.def"
#undef WEIR_DTYPE
};

const struct weir_dtype_info *weir_dtype_info(enum weir_dtype dtype) { return &infos[dtype]; }

int weir_dtype_from_ggml(uint32_t ggml_id)
{
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++)
        if (infos[i].ggml_id >= 0 && (uint32_t)infos[i].ggml_id == ggml_id)
            return i;
    return -1;
}

int weir_dtype_from_name(const char *name)
{
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++)
        if (!strcasecmp(infos[i].name, name))
            return i;
    return -1;
}
