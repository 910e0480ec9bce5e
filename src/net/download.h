/* SPDX-License-Identifier: MIT
 *
 * One file brought whole to its place, or not at all.  What has come lies in NAME.part, as large as
 * the file will be; NAME.part.state says which stretches of it are here, and of which file.  A
 * later call goes on from there if the server's file is still the same.  One thread. */
#ifndef WEIR_SRC_NET_DOWNLOAD_H
#define WEIR_SRC_NET_DOWNLOAD_H

#include "src/net/fetch.h"

struct weir_download {
    const char *url;
    int folder;         /* descriptor of the folder it goes into; stays the caller's */
    const char *name;   /* in that folder, a plain checked name */
    uint64_t bytes;     /* expected; 0: unknown */
    const char *sha256; /* expected, in hexadecimal; "" when unknown */
    /* Called several times a second with what is being done, first fetching, then checking, each
     * one literal; or NULL. */
    void (*show)(void *arg, const char *what, uint64_t done, uint64_t total);
    void *arg;
    /* Set by weir_download_run: bytes that an earlier call had brought. */
    uint64_t resumed_bytes;
};

/* 0: the file is in its place and on the disk.  Otherwise nothing is in its place that was not
 * before: what weir_fetch_parts answers (what has come is kept); -EBUSY: another process fetches
 * it; -ENOSPC: the disk has no room; -EBADMSG: it is not the expected file (nothing is kept). */
int weir_download_run(struct weir_fetch *f, struct weir_download *d, struct weir_err *err);

/* The same for a small file, all of which is in memory already: N bytes of TEXT, checked by whoever
 * fetched them. */
int weir_download_put(int folder, const char *name, const char *text, size_t n,
                      struct weir_err *err);

#endif
