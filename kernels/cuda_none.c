/* SPDX-License-Identifier: MIT
 *
 * The build without CUDA: no devices. */
#include "config.h"

#include "kernels/cuda.h"

#include <errno.h>

static int count(void) { return 0; }

static int info(int index, struct weir_cuda_info *ret, struct weir_err *err)
{
    (void)ret;
    return weir_fail(err, -ENOSYS, "there is no GPU %d: this weir was built without CUDA", index);
}

static int no_open(int index, struct weir_cuda **ret, struct weir_err *err)
{
    *ret = NULL;
    return weir_fail(err, -ENOSYS, "there is no GPU %d: this weir was built without CUDA", index);
}

static void no_close(struct weir_cuda *g) { (void)g; }

/* Nothing else is called without an open device. */
static const struct weir_cuda_ops none = {
    .name = "none", .count = count, .info = info, .open = no_open, .close = no_close
};

const struct weir_cuda_ops *weir_cuda_ops(void) { return &none; }
