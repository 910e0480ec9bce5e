/* SPDX-License-Identifier: MIT
 *
 * Where a linear layer that is stored in several tensors (.qweight, .scales, .qzeros ...) becomes
 * one matrix with a packing (base/packing.h). */
#ifndef WEIR_SRC_MODEL_ADAPT_PACKED_H
#define WEIR_SRC_MODEL_ADAPT_PACKED_H

#include "src/model/family.h"

/* Called after the configuration was read and before plain tensors are given their names.  A tensor
 * that got a role here (weir_map_set_role), or belongs to one that did, is left alone afterwards:
 * TAKEN[i] is set for it, one for each tensor of the map.
 * 0; -ENOTSUP: a method that is not computed, named. */
int weir_adapt_packed(struct weir_adapt *a, bool *taken, struct weir_err *err);

#endif
