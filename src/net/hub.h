/* SPDX-License-Identifier: MIT
 *
 * The model hub: which files a repository has, and where they are.  It is $HF_ENDPOINT, else
 * WEIR_HUB_DEFAULT.  A token from $HF_TOKEN or $HUGGING_FACE_HUB_TOKEN, else from the file
 * $HF_TOKEN_PATH, else from the file `token` in $HF_HOME, $XDG_CACHE_HOME/huggingface or
 * ~/.cache/huggingface, goes to that endpoint alone.  One thread. */
#ifndef WEIR_SRC_NET_HUB_H
#define WEIR_SRC_NET_HUB_H

#include "src/net/fetch.h"
#include "src/net/files.h"

#define WEIR_HUB_DEFAULT "https://huggingface.co"
#define WEIR_HUB_URL_MAX WEIR_FETCH_URL_MAX

struct weir_hub {
    char endpoint[512];   /* without a slash at its end */
    char token[1024];     /* "" when there is none */
    char token_from[512]; /* the variable or file it came from */
};

/* Read the environment.  0; -EINVAL: an endpoint that is not an address. */
int weir_hub_init(struct weir_hub *h, struct weir_err *err);

/* Is TEXT, with or without a scheme, the address of a model or of a file of one at this hub or at
 * huggingface.co (hf.co), as they stand in a browser?  Then RET is its name, a GGUF's as the tag.
 * Only the revision `main` has names. */
bool weir_hub_name(const struct weir_hub *h, const char *text, struct weir_model_name *ret);

/* Add the files of REPO that may be of a model to L, with their sizes and SHA-256.  0; what
 * weir_fetch_text answers; -EINVAL: the answer is not a list of files, or names one that must not
 * be. */
int weir_hub_files(const struct weir_hub *h, struct weir_fetch *f, const char *repo,
                   struct weir_files *l, struct weir_err *err);

/* Where file PATH of REPO is. */
int weir_hub_url(const struct weir_hub *h, const char *repo, const char *path,
                 char ret[WEIR_HUB_URL_MAX], struct weir_err *err);

#endif
