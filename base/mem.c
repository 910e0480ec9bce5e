/* SPDX-License-Identifier: MIT
 *
 * Owns the accounts: who was given how many bytes.  Heap blocks carry their size and account in a
 * header in front of them, so that freeing needs no second table.  Any thread. */
#include "config.h"

#include "base/mem.h"

#include "base/num.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (UINT64_C(2) << 20)
#define HUGE_2M   (21 << 26) /* MAP_HUGE_2MB, which not every libc names */
#define PAGE      UINT64_C(4096)

const char *const weir_mem_names[WEIR_MEM_COUNT] = { "pinned",  "ring", "kv",
                                                     "scratch", "text", "misc" };

static _Atomic uint64_t used[WEIR_MEM_COUNT];

struct head {
    _Alignas(16) uint64_t bytes; /* of the user's part */
    uint64_t account;
};

static void charge(enum weir_account account, uint64_t bytes)
{
    atomic_fetch_add_explicit(&used[account], bytes, memory_order_relaxed);
}

static void discharge(enum weir_account account, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&used[account], bytes, memory_order_relaxed);
}

uint64_t weir_mem_used(enum weir_account account)
{
    return atomic_load_explicit(&used[account], memory_order_relaxed);
}

static void *resize(enum weir_account account, void *p, size_t n, size_t size, int zero)
{
    uint64_t bytes, with_head;
    if (weir_mul_over(n, size, &bytes) || weir_add_over(bytes, sizeof(struct head), &with_head))
        return NULL;
    struct head *old = p ? (struct head *)p - 1 : NULL;
    const uint64_t old_bytes = old ? old->bytes : 0;
    struct head *h = zero ? calloc(1, with_head) : realloc(old, with_head);
    if (!h)
        return NULL;
    if (p)
        discharge((enum weir_account)h->account, old_bytes);
    h->bytes = bytes;
    h->account = account;
    charge(account, bytes);
    return h + 1;
}

void *weir_alloc(enum weir_account account, size_t n, size_t size)
{
    return resize(account, NULL, n, size, 1);
}

void *weir_grow(enum weir_account account, void *p, size_t n, size_t size)
{
    return resize(account, p, n, size, 0);
}

int weir_reserve(enum weir_account account, void *array, size_t *cap, size_t n, size_t size)
{
    void *p;
    if (n <= *cap)
        return 0;
    const size_t want = n < 256 ? 256 : n > SIZE_MAX / 2 ? n : n + n / 2;
    memcpy(&p, array, sizeof(p));
    p = weir_grow(account, p, want, size);
    if (!p)
        return -ENOMEM;
    memcpy(array, &p, sizeof(p));
    *cap = want;
    return 0;
}

void weir_free(void *p)
{
    if (!p)
        return;
    struct head *h = (struct head *)p - 1;
    discharge((enum weir_account)h->account, h->bytes);
    free(h);
}

char *weir_strndup(enum weir_account account, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? weir_alloc(account, n + 1, 1) : NULL;
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

uint64_t weir_region_bytes(uint64_t bytes)
{
    return weir_align_up(bytes, bytes >= HUGE_PAGE ? HUGE_PAGE : PAGE);
}

int weir_region_init(struct weir_region *r, enum weir_account account, uint64_t bytes,
                     struct weir_err *err)
{
    *r = (struct weir_region){ .account = account };
    if (!bytes)
        return 0;
    const uint64_t size = weir_region_bytes(bytes);
    if (size >= HUGE_PAGE && size % HUGE_PAGE == 0) {
        /* Pages that the system set aside, if it did: refused at once when they are too few. */
        void *set_aside = mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_2M, -1, 0);
        if (set_aside != MAP_FAILED) {
            r->base = set_aside;
            r->bytes = size;
            charge(account, size);
            return 0;
        }
    }
    /* Reserve one huge page more than needed, then give back what lies outside the alignment. Small
     * regions too: a disk may want more than a page. */
    const uint64_t slack = HUGE_PAGE;
    uint8_t *p = bytes > SIZE_MAX / 2 ? MAP_FAILED
                                      : mmap(NULL, size + slack, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        char s[WEIR_SIZE_STR];
        return weir_fail(err, -ENOMEM, "no memory for %s of %s",
                         weir_size_format(bytes, s, sizeof(s)), weir_mem_names[account]);
    }
    uint8_t *base = (uint8_t *)weir_align_up((uintptr_t)p, HUGE_PAGE);
    if (base > p)
        munmap(p, (size_t)(base - p));
    if (base < p + slack)
        munmap(base + size, (size_t)(p + slack - base));
    if (size >= HUGE_PAGE)
        madvise(base, size, MADV_HUGEPAGE); /* a kernel without huge pages is only slower */
    r->base = base;
    r->bytes = size;
    charge(account, size);
    return 0;
}

void weir_region_done(struct weir_region *r)
{
    if (r->base) {
        munmap(r->base, r->bytes);
        discharge(r->account, r->bytes);
    }
    *r = (struct weir_region){ 0 };
}

uint64_t weir_region_huge_bytes(const struct weir_region *r)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    if (!f)
        return 0;
    char line[256];
    uint64_t huge = 0;
    int inside = 0;
    const uintptr_t lo = (uintptr_t)r->base, hi = lo + r->bytes;
    while (fgets(line, sizeof(line), f)) {
        unsigned long a, b, kb;
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2)
            inside = a < hi && b > lo;
        else if (inside && (sscanf(line, "AnonHugePages: %lu kB", &kb) == 1 ||
                            sscanf(line, "Private_Hugetlb: %lu kB", &kb) == 1))
            huge += (uint64_t)kb << 10;
    }
    fclose(f);
    return weir_min_u64(huge, r->bytes);
}
