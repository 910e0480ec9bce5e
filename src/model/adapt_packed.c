/* SPDX-License-Identifier: MIT
 * Owns the finding of packed linear layers.  None is known here yet: they are refused by name. */
#include "config.h"

#include "src/model/adapt_packed.h"

#include <errno.h>

int weir_adapt_packed(struct weir_adapt *a, bool *taken, struct weir_err *err)
{
    (void)taken;
    if (!weir_adapt_get(a, "quantization_config"))
        return 0;
    const char *method = weir_adapt_str(a, "quantization_config.quant_method");
    return weir_fail(err, -ENOTSUP,
                     "%s: its weights are quantized by '%.40s', which weir does not compute yet",
                     a->path, method ? method : "a method without a name");
}
