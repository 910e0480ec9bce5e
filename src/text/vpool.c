/* SPDX-License-Identifier: MIT
 * Owns the chunks of a pool and its three limits.  One thread. */
#include "config.h"

#include "src/text/vpool.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK ((size_t)64 << 10)

struct weir_vpool_chunk {
    _Alignas(16) struct weir_vpool_chunk *next;
};

void weir_vpool_init(struct weir_vpool *p, uint64_t bytes_max, uint64_t steps_max,
                     uint32_t depth_max)
{
    memset(p, 0, sizeof(*p));
    p->bytes_max = bytes_max;
    p->steps_max = steps_max;
    p->depth_max = depth_max;
}

void weir_vpool_done(struct weir_vpool *p)
{
    while (p->chunks) {
        struct weir_vpool_chunk *next = p->chunks->next;
        weir_free(p->chunks);
        p->chunks = next;
    }
    p->left = 0;
}

_Noreturn void weir_vpool_fail(struct weir_vpool *p, const char *fmt, ...)
{
    char msg[sizeof(p->err.msg)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (p->line)
        weir_fail(&p->err, -EINVAL, "template, line %" PRIu32 ": %s", p->line, msg);
    else
        weir_fail(&p->err, -EINVAL, "%s", msg);
    longjmp(p->jump, 1);
}

void *weir_vpool_alloc(struct weir_vpool *p, size_t n, size_t size)
{
    uint64_t bytes;
    if (weir_mul_over(n, size, &bytes) || p->bytes > p->bytes_max ||
        bytes > p->bytes_max - p->bytes)
        weir_vpool_fail(p, "more than %" PRIu64 " bytes of memory would be needed", p->bytes_max);
    bytes = weir_align_up(bytes ? bytes : 1, 16);
    if (bytes > p->left) {
        /* Large things get a chunk of their own, and the open one stays open. */
        const size_t room = bytes > CHUNK / 4 ? bytes : CHUNK;
        struct weir_vpool_chunk *c = weir_alloc(WEIR_MEM_TEXT, sizeof(*c) + room, 1);
        if (!c)
            weir_vpool_fail(p, "no memory for %zu bytes", room);
        c->next = p->chunks;
        p->chunks = c;
        p->bytes += bytes;
        if (room == bytes)
            return c + 1;
        p->at = (char *)(c + 1) + bytes;
        p->left = room - bytes;
        return c + 1;
    }
    void *r = p->at;
    p->at += bytes;
    p->left -= bytes;
    p->bytes += bytes;
    return r;
}

void *weir_vpool_grow(struct weir_vpool *p, const void *old, size_t n_old, size_t n_new,
                      size_t size)
{
    void *r = weir_vpool_alloc(p, n_new, size);
    if (n_old)
        memcpy(r, old, n_old * size);
    return r;
}

void weir_vpool_step(struct weir_vpool *p, uint64_t n)
{
    if (n > p->steps_max - p->steps)
        weir_vpool_fail(p, "more than %" PRIu64 " steps would be needed", p->steps_max);
    p->steps += n;
}

void weir_vpool_enter(struct weir_vpool *p)
{
    if (p->depth >= p->depth_max)
        weir_vpool_fail(p, "nested deeper than %" PRIu32 " levels", p->depth_max);
    p->depth++;
}
