/* SPDX-License-Identifier: MIT
 *
 * Owns what is known about texts that end a generation: files often do not say it.  Part of
 * loading: one thread, before anybody encodes. */
#include "config.h"

#include "src/text/tok_priv.h"

#include <string.h>

enum { END_END = 2, END_RETURN, END_CALL, END_FLUSH, END_CALLS }; /* places in the table */

/* Texts that end a generation in some family.  The first token with such a text is taken for a
 * control token whatever the file says, unless `soft`: then the file has to mark it as special. */
static const struct {
    const char *text;
    bool soft;
} ends[TOK_N_ENDS] = {
    { "<|eot_id|>", false },
    { "<|im_end|>", false },
    [END_END] = { "<|end|>", false },
    [END_RETURN] = { "<|return|>", false },
    [END_CALL] = { "<|call|>", false },
    [END_FLUSH] = { "<|flush|>", false },
    [END_CALLS] = { "<|calls|>", false },
    { "<end_of_turn>", false },
    { "<|endoftext|>", false },
    { "<|eom_id|>", false },
    { "<EOT>", false },
    { "_<EOT>", false },
    { "[EOT]", true },
    { "[EOS]", true },
    { "<|end_of_text|>", false },
    { "<end_of_utterance>", false },
    { "<eos>", true },
    { "</s>", true },
    { "[e~[", true },
    { "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", false },
    { "<eoa>", true },
    { "<|fim_pad|>", false },
    { "<fim_pad>", false },
    { "<fim-pad>", false },
    { "<|fim_repo|>", false },
    { "<|repo_name|>", false },
    { "<fim-repo>", false },
    { "<|file_sep|>", false },
};

void tok_ends_note(struct tok_ends *e, uint8_t attr, uint32_t id, const uint8_t *text, uint64_t n)
{
    if (n < 4 || n > 32 || !memchr("<_[", *text, 3))
        return;
    for (unsigned i = 0; i < TOK_N_ENDS; i++)
        if (!(e->found >> i & 1) && strlen(ends[i].text) == n && !memcmp(ends[i].text, text, n) &&
            !(ends[i].soft && !tok_is_special(attr))) {
            e->found |= UINT32_C(1) << i;
            e->id[i] = id;
        }
}

void tok_ends_each(const struct tok_ends *e, void (*end)(void *ctx, uint32_t id, bool control),
                   void *ctx)
{
    uint32_t found = e->found;
    /* In the harmony and solar formats <|end|> ends a message, not the generation. */
    if ((found >> END_END & 1) &&
        ((found >> END_RETURN & found >> END_CALL & 1) ||
         ((found >> END_CALL | found >> END_CALLS) & found >> END_FLUSH & 1)))
        found &= ~(UINT32_C(1) << END_END);
    for (unsigned i = 0; i < TOK_N_ENDS; i++)
        if (found >> i & 1)
            end(ctx, e->id[i], !ends[i].soft);
}
