/* SPDX-License-Identifier: MIT
 *
 * How fast is this disk?  Asked of the real file, in the way the engine will read it. */
#ifndef WEIR_PREFETCH_PROBE_H
#define WEIR_PREFETCH_PROBE_H

#include "base/err.h"
#include "prefetch/io.h"

#include <stdint.h>

#define WEIR_PROBE_DEPTH     8u  /* saturates one disk */
#define WEIR_PROBE_DEPTH_MAX 16u /* for arrays of them */

/* Read up to BYTES of F with IO (DEPTH reads of 2 MiB at a time into huge pages), starting at a
 * place in the middle, for at most 0.3 s.  *ret: bytes/s, the upper quartile over windows of 32
 * MiB. 0; -ENODATA: the file is too small to tell (below 8 MiB); or what the reads answered. */
int weir_probe_disk(const struct weir_io_ops *io, const struct weir_io_file *f, uint32_t depth,
                    uint64_t bytes, double *ret, struct weir_err *err);

#endif
