/* SPDX-License-Identifier: MIT
 *
 * A conversation with a model on one session: what is said becomes tokens, and of those only the
 * ones are evaluated that the session does not hold from earlier turns.
 *
 *     weir_talk_say(&d.talk, "user", ...)
 *     weir_dialog_turn(&d, 256, &turn, err)
 *     weir_generate(session, { .prompt = turn.ids, .n_prompt = turn.n, .n_kept = turn.n_kept, ...
 * }) weir_talk_say(&d.talk, "assistant", ...) weir_turn_done(&turn)
 *
 * Engine thread. */
#ifndef WEIR_SRC_RUN_DIALOG_H
#define WEIR_SRC_RUN_DIALOG_H

#include "src/run/session.h"
#include "src/run/talk.h"

/* Memory that a turn takes at most beside the session: the rendering and its text. */
#define WEIR_DIALOG_BYTES ((uint64_t)16 << 20)

struct weir_dialog {
    struct weir_session *session; /* outlives it; its engine has a tokenizer */
    const struct weir_chat_template *form;
    struct weir_talk talk;
    size_t n_left_out; /* messages behind the system message that no longer fit: not sent */
    bool no_thinking;  /* tell the template enable_thinking = false */
};
void weir_dialog_done(struct weir_dialog *d); /* forgets the talk */

struct weir_turn {
    uint32_t *ids; /* weir_free */
    uint32_t n, n_kept;
    size_t n_left_out; /* messages that were left out for the first time */
    int thought;       /* the form begins the answer with a thought: see weir_think_begun */
};
void weir_turn_done(struct weir_turn *t);

/* Everything said so far, and the beginning of the answer, as tokens; the session is put back to
 * what it has of them.  When fewer than RESERVE positions would be left for the answer, the oldest
 * turns are left out from now on, until a quarter of the context is free beside it; the system
 * message and the last question stay.
 * 0 with *RET; -ENOSPC: the last question alone is longer than the context; or what rendering and
 * encoding answer.  After a failure nothing has changed. */
int weir_dialog_turn(struct weir_dialog *d, uint32_t reserve, struct weir_turn *ret,
                     struct weir_err *err);

/* The context is full in the middle of an answer, of which ANSWER[N] (in the session, say) and LAST
 * are there so far.  The oldest turns are left out, until a quarter of the context is free or
 * nothing can leave; the turn without them, and the answer behind it, is *RET, and the session is
 * put back to what it has of that.  1 with *RET; 0: nothing could leave that makes room; or what
 * rendering and encoding answer.  But for 1 nothing has changed. */
int weir_dialog_go_on(struct weir_dialog *d, const uint32_t *answer, uint32_t n, uint32_t last,
                      struct weir_turn *ret, struct weir_err *err);

#endif
