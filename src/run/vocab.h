/* SPDX-License-Identifier: MIT
 *
 * The tokenizer of a model: inside a GGUF file, or files of its own in the model's folder. */
#ifndef WEIR_SRC_RUN_VOCAB_H
#define WEIR_SRC_RUN_VOCAB_H

#include "src/text/tok.h"

/* Of an opened model whose header is still there.  0; -ENOENT: it has none; or what weir_tok_load
 * or weir_tok_open answers. */
int weir_vocab_of(const struct weir_map *m, struct weir_tok **ret, struct weir_err *err);

/* Of what lies at PATH: a model in any form, its folder, or a tokenizer's own file. */
int weir_vocab_open(const char *path, struct weir_tok **ret, struct weir_err *err);

/* The folder with the files beside the model at PATH (itself, when it is one), into BUF.  False:
 * PATH is a file that says everything inside, or no model. */
bool weir_vocab_folder(const char *path, char *buf, size_t n);

#endif
