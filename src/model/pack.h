/* SPDX-License-Identifier: MIT
 *
 * Finding matrices that a container keeps in several arrays (base/packing.h): from the names and
 * shapes of what lies beside each other, and what the configuration says of the method. */
#ifndef WEIR_SRC_MODEL_PACK_H
#define WEIR_SRC_MODEL_PACK_H

#include "base/json.h"
#include "mmap/map.h"

/* Turn the sets of arrays in M into packed matrices: the array of weights becomes a tensor of the
 * shape {k, n} with its packing, and knows the others.  QUANT: the object that says how the model
 * was quantized (quantization_config, or quantize_config.json), or NULL.  Before anything else is
 * added to the map and before names are given out; reads the small index arrays.
 * 0; -EINVAL: arrays that do not fit each other (the sentence names them and both shapes);
 * -ENOTSUP: a method or a variant of one that this program does not compute; -EIO, -ENOMEM. */
int weir_pack_find(struct weir_map *m, const weir_json *quant, struct weir_err *err);

/* The name T would have if it were not packed ("x.qweight": "x.weight"), into BUF; T's own name
 * when that is it.  NULL: BUF is too short. */
const char *weir_pack_name(const struct weir_tensor *t, char *buf, size_t n);

/* Matrix I of M has K inputs; the last group of a row may be stored beyond them (MLC).  0; -EINVAL
 * when that is not how it is. */
int weir_pack_fit(struct weir_map *m, uint32_t i, uint32_t k, struct weir_err *err);

/* Is T one of the arrays beside a packed matrix of M, so that nobody else needs to know it? */
bool weir_pack_is_part(const struct weir_map *m, const struct weir_tensor *t);

#endif
