/* SPDX-License-Identifier: MIT
 *
 * A session put into a file (weir_saved) and taken out again, such that what follows is bit for bit
 * what would have followed.  Engine thread. */
#ifndef WEIR_SRC_RUN_RESUME_H
#define WEIR_SRC_RUN_RESUME_H

#include "src/run/saved.h"
#include "src/run/session.h"
#include "src/text/sampler.h"

/* What positions of engine E (opened) can be compared by.  A model is known by its numbers, the
 * names, types and shapes of its tensors, and samples of their bytes.  0, or what reading the model
 * answered. */
int weir_resume_id(const struct weir_engine *e, enum weir_saved_kind kind,
                   struct weir_saved_id *ret, struct weir_err *err);
/* Can MINE go on with F, which is not new?  0; *RET_REDO: its text and tokens are good, but another
 * instruction set has computed its positions, which differ in the last bits, so they are to be
 * computed again.  -EINVAL: it is of another kind, model, --kv or --act. */
int weir_resume_fits(const struct weir_saved *f, const struct weir_saved_id *mine, bool *ret_redo,
                     struct weir_err *err);

/* Put S and SAMPLER (or NULL) to where F and its state ST were: as many positions as fit the
 * context; none with REDO.
 * 0, or what weir_saved_keys and weir_sampler_load answer; S has then no positions. */
int weir_resume_load(struct weir_saved *f, const struct weir_saved_state *st, bool redo,
                     struct weir_session *s, struct weir_sampler *sampler, struct weir_err *err);

/* The state of S and SAMPLER (or NULL) for weir_saved_commit: weir_free(ret->sampler); its tokens
 * stay S's.  0 or -ENOMEM. */
int weir_resume_state(const struct weir_session *s, const struct weir_sampler *sampler,
                      struct weir_saved_state *ret, struct weir_err *err);

#endif
