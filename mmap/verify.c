/* SPDX-License-Identifier: MIT
 *
 * Owns the comparing of a model's bytes with the sums it carries: on demand only, since all of it
 * is read, past the page cache as far as that goes.  Any thread, after the map is open. */
#include "config.h"

#include "base/crc32.h"
#include "base/md5.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART_BYTES (UINT64_C(1) << 20)

/* Every kind of sum there is, and room for a part of a file. */
struct sums {
    struct weir_crc32 crc32;
    struct weir_md5 md5;
    uint8_t part[PART_BYTES];
};

static int check_one(const struct weir_map *m, const struct weir_check *c, struct sums *s,
                     void (*on_bytes)(void *arg, uint64_t n), void *arg, struct weir_err *err)
{
    uint8_t got[WEIR_CHECK_BYTES] = { 0 };
    weir_crc32_init(&s->crc32);
    weir_md5_init(&s->md5);
    for (uint64_t at = 0, n; at < c->bytes; at += n) {
        n = weir_min_u64(c->bytes - at, PART_BYTES);
        const int rc = weir_map_read(m, c->file, at, n, s->part, err);
        if (rc)
            return rc;
        weir_map_drop(m, c->file, at, n);
        if (c->kind == WEIR_CHECK_CRC32)
            weir_crc32_add(&s->crc32, s->part, n);
        else
            weir_md5_add(&s->md5, s->part, n);
        if (on_bytes)
            on_bytes(arg, n);
    }
    if (c->kind == WEIR_CHECK_CRC32)
        for (int i = 0; i < 4; i++)
            got[i] = (uint8_t)(s->crc32.crc >> (24 - 8 * i));
    else
        weir_md5_end(&s->md5, got);
    if (!memcmp(got, c->want, sizeof(got)))
        return 0;
    char hex[2][2 * WEIR_CHECK_BYTES + 1];
    const int n = c->kind == WEIR_CHECK_CRC32 ? 4 : WEIR_MD5_BYTES;
    for (int i = 0; i < n; i++) {
        snprintf(hex[0] + 2 * i, 3, "%02x", got[i]);
        snprintf(hex[1] + 2 * i, 3, "%02x", c->want[i]);
    }
    return weir_fail(err, -EINVAL, "%s is damaged: its %s is %s, but should be %s",
                     m->file[c->file].path, c->kind == WEIR_CHECK_CRC32 ? "CRC-32" : "MD5", hex[0],
                     hex[1]);
}

int weir_map_add_check(struct weir_map *m, const struct weir_check *c)
{
    size_t cap = m->cap_check;
    if (weir_reserve(WEIR_MEM_MISC, &m->check, &cap, (size_t)m->n_check + 1, sizeof(*c)))
        return -ENOMEM;
    m->cap_check = (uint32_t)cap;
    m->check[m->n_check++] = *c;
    return 0;
}

uint64_t weir_map_verify_bytes(const struct weir_map *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->n_check; i++)
        sum += m->check[i].bytes;
    return sum;
}

int weir_map_verify(const struct weir_map *m, void (*on_bytes)(void *arg, uint64_t n), void *arg,
                    struct weir_err *err)
{
    struct sums *s = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*s));
    if (!s)
        return weir_fail(err, -ENOMEM, "no memory to check a file");
    int rc = 0;
    for (uint32_t i = 0; i < m->n_check && !rc; i++)
        rc = check_one(m, &m->check[i], s, on_bytes, arg, err);
    weir_free(s);
    return rc;
}
