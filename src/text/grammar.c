/* SPDX-License-Identifier: MIT
 *
 * Owns the states of a matcher and the step from one to the next.  A step has two halves:
 *
 *   1. Every item that takes the byte moves on, through jumps, and out of rules that are done into
 *      all of their return sets, up to the next characters.  Calls met on the way are put down.
 *   2. The rules called are entered in the order of their ranks: then every call of a rule from
 *      here is known before it is entered, so it is entered once, with one return set.
 *
 * A rule that can be empty is both called and passed over, so in (2) ends are not followed: only
 * what has read something comes to an end there.  Memory: grammar.h.  One thread. */
#include "config.h"

#include "src/text/grammar.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>

#define ITEMS_MAX   20000u /* of a state, and of the instructions on the way to one */
#define ENTRIES_MAX 60000u /* calls put down in one step */
#define PC_BITS     18     /* an item's first word: pc | row << 18; its second: its return set */
#define ACCEPT      UINT32_MAX /* the place after the call of root */
#define POOL_MIN    (32u << 10)

_Static_assert(WEIR_GBNF_CODE_MAX <= 1u << PC_BITS && WEIR_GBNF_ROWS_MAX <= 1u << (32 - PC_BITS),
               "an item fits in two words");

struct pair {
    uint32_t a, b;
};

struct call {
    struct pair to; /* the place after it, and the return set there */
    uint32_t next;  /* call of the same rule, or UINT32_MAX */
};

struct weir_grammar_scratch {
    struct pair item[ITEMS_MAX], todo[2 * ITEMS_MAX], entry[ENTRIES_MAX];
    struct call call[ENTRIES_MAX];
    uint32_t n_item, n_todo, n_call;
    bool accepts;
    struct pair seen[4 * 16384]; /* a set: open hash table, valid where stamp is now */
    uint32_t stamp[4 * 16384], now, n_seen;
    uint32_t *first_call;               /* [n_rule] or UINT32_MAX */
    uint64_t *waiting;                  /* [n_rule] bits, by rank */
    uint32_t waiting_low, waiting_high; /* words of it in use */
};
#define N_SEEN (4u * 16384u)

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9E3779B1u;
    return h ^ h >> 15;
}

static int too_many(struct weir_err *err)
{
    return weir_fail(err, -E2BIG,
                     "the grammar is too ambiguous: more than %u ways to read the text so far",
                     ITEMS_MAX);
}

/* ---- sets of pairs ---- */

static bool before(struct pair x, struct pair y) { return x.a != y.a ? x.a < y.a : x.b < y.b; }

/* Sort (by shells: no memory, no worst case to speak of) and drop equal ones; the new N. */
static uint32_t sort_unique(struct pair *p, uint32_t n)
{
    uint32_t gap = 1, m = 0;
    while (gap < n / 3)
        gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (uint32_t i = gap; i < n; i++) {
            const struct pair x = p[i];
            uint32_t j = i;
            for (; j >= gap && before(x, p[j - gap]); j -= gap)
                p[j] = p[j - gap];
            p[j] = x;
        }
    for (uint32_t i = 0; i < n; i++)
        if (!m || before(p[m - 1], p[i]))
            p[m++] = p[i];
    return m;
}

/* ---- what is kept once: return sets (words: n, then n pairs) and states ---- */

static uint32_t hash_pairs(uint32_t seed, const uint32_t *words, uint32_t n)
{
    for (uint32_t i = 0; i < 2 * n; i++)
        seed = mix(seed, words[i]);
    return seed;
}

static uint32_t items_at(const struct weir_grammar *m, weir_gstate s)
{
    return s + WEIR_GSTATE_TABLE + m->g->n_byte_class;
}

static uint32_t state_hash(const struct weir_grammar *m, weir_gstate s)
{
    const uint32_t n = m->pool[s];
    return hash_pairs(n, m->pool + items_at(m, s), n & WEIR_GSTATE_COUNT);
}

static uint32_t kont_hash(const struct weir_grammar *m, uint32_t k)
{
    return hash_pairs(m->pool[k], m->pool + k + 1, m->pool[k]);
}

static int pool_full(const struct weir_grammar *m, struct weir_err *err)
{
    return weir_fail(err, -ENOBUFS, "the grammar's states are more than fit in %llu bytes",
                     (unsigned long long)m->cap * sizeof(uint32_t));
}

/* The return set with the N pairs P, sorted. */
static int keep_kont(struct weir_grammar *m, const struct pair *p, uint32_t n, uint32_t *ret,
                     struct weir_err *err)
{
    const uint32_t *words = &p->a;
    uint32_t h = hash_pairs(n, words, n) & (m->n_hash - 1);
    for (; m->kont_at[h]; h = (h + 1) & (m->n_hash - 1)) {
        const uint32_t k = m->kont_at[h];
        if (m->pool[k] == n && !memcmp(m->pool + k + 1, words, n * sizeof(*p))) {
            *ret = k;
            return 0;
        }
    }
    if (1 + 2 * n > m->cap - m->used || m->n_kont >= m->n_hash / 2)
        return pool_full(m, err);
    m->pool[m->used] = n;
    memcpy(m->pool + m->used + 1, words, n * sizeof(*p));
    m->kont_at[h] = *ret = m->used;
    m->used += 1 + 2 * n;
    m->n_kont++;
    return 0;
}

/* The state with the items in scratch. */
static int keep_state(struct weir_grammar *m, weir_gstate *ret, struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    const uint32_t n = t->n_item = sort_unique(t->item, t->n_item);
    const uint32_t head = n | (t->accepts ? WEIR_GSTATE_ACCEPTS : 0);
    const uint32_t *words = &t->item->a;
    uint32_t h = hash_pairs(head, words, n) & (m->n_hash - 1);
    if (!head) {
        *ret = WEIR_GSTATE_DEAD;
        return 0;
    }
    for (; m->state_at[h]; h = (h + 1) & (m->n_hash - 1)) {
        const weir_gstate s = m->state_at[h];
        if (m->pool[s] == head && !memcmp(m->pool + items_at(m, s), words, n * sizeof(*t->item))) {
            *ret = s;
            return 0;
        }
    }
    const uint32_t table = m->g->n_byte_class, size = WEIR_GSTATE_TABLE + table + 2 * n;
    if (size > m->cap - m->used || m->n_state >= m->n_hash / 2)
        return pool_full(m, err);
    uint32_t *s = m->pool + m->used;
    s[WEIR_GSTATE_N] = head;
    s[WEIR_GSTATE_TAG] = 0;
    memset(s + WEIR_GSTATE_TABLE, 0, table * sizeof(*s));
    memcpy(s + WEIR_GSTATE_TABLE + table, words, n * sizeof(*t->item));
    m->state_at[h] = *ret = m->used;
    m->used += size;
    m->n_state++;
    return 0;
}

/* ---- walking the code ---- */

/* Was (pc, kont) not met yet in this step?  False also when there is no room: too_many follows. */
static bool is_new(struct weir_grammar_scratch *t, uint32_t pc, uint32_t kont)
{
    uint32_t h = mix(mix(0, pc), kont) & (N_SEEN - 1);
    for (; t->stamp[h] == t->now; h = (h + 1) & (N_SEEN - 1))
        if (t->seen[h].a == pc && t->seen[h].b == kont)
            return false;
    t->stamp[h] = t->now;
    t->seen[h] = (struct pair){ pc, kont };
    t->n_seen++;
    return true;
}

static int go_to(struct weir_grammar_scratch *t, uint32_t pc, uint32_t kont, struct weir_err *err)
{
    if (!is_new(t, pc, kont))
        return 0;
    if (t->n_seen > ITEMS_MAX)
        return too_many(err);
    t->todo[t->n_todo++] = (struct pair){ pc, kont }; /* at most as many as are seen */
    return 0;
}

static int put_call(struct weir_grammar *m, uint32_t rule, struct pair to, struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    const uint32_t rank = m->g->rule[rule].rank, word = rank / 64;
    if (t->n_call == ENTRIES_MAX)
        return too_many(err);
    t->call[t->n_call] = (struct call){ to, t->first_call[rule] };
    t->first_call[rule] = t->n_call++;
    t->waiting[word] |= UINT64_C(1) << rank % 64;
    t->waiting_low = word < t->waiting_low ? word : t->waiting_low;
    t->waiting_high = word > t->waiting_high ? word : t->waiting_high;
    return 0;
}

static int put_item(struct weir_grammar_scratch *t, uint32_t at, uint32_t kont,
                    struct weir_err *err)
{
    if (t->n_item == ITEMS_MAX)
        return too_many(err);
    t->item[t->n_item++] = (struct pair){ at, kont };
    return 0;
}

/* Follow everything in todo up to the next characters.  ENDS: rules that come to their end are
 * left. */
static int follow(struct weir_grammar *m, bool ends, struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    const struct weir_gbnf *g = m->g;
    int r = 0;
    while (t->n_todo && r == 0) {
        const struct pair x = t->todo[--t->n_todo];
        const uint32_t pc = x.a, kont = x.b;
        const struct weir_gbnf_op op = g->code[pc];
        if (++m->work > m->work_max)
            return weir_fail(err, -E2BIG,
                             "the grammar is too ambiguous: reading one token takes more than %llu "
                             "steps",
                             (unsigned long long)m->work_max);
        switch (op.op) {
        case WEIR_GBNF_BYTE: r = put_item(t, pc, kont, err); break;
        case WEIR_GBNF_CLASS: r = put_item(t, pc | (uint32_t)op.arg << PC_BITS, kont, err); break;
        case WEIR_GBNF_JMP: r = go_to(t, pc + (uint32_t)op.arg, kont, err); break;
        case WEIR_GBNF_SPLIT:
            r = go_to(t, pc + (uint32_t)op.arg, kont, err);
            if (r == 0)
                r = go_to(t, pc + 1, kont, err);
            break;
        case WEIR_GBNF_TAIL: /* what is after it is what is after this rule */
            for (uint32_t i = 0; i < m->pool[kont] && r == 0; i++)
                r = put_call(m, (uint32_t)op.arg,
                             (struct pair){ m->pool[kont + 1 + 2 * i], m->pool[kont + 2 + 2 * i] },
                             err);
            m->work += m->pool[kont];
            if (r == 0 && g->rule[op.arg].nullable)
                r = go_to(t, pc + 1, kont, err);
            break;
        case WEIR_GBNF_CALL:
            r = put_call(m, (uint32_t)op.arg, (struct pair){ pc + 1, kont }, err);
            if (r == 0 && g->rule[op.arg].nullable)
                r = go_to(t, pc + 1, kont, err);
            break;
        default: /* END */
            if (!ends)
                break;
            m->work += m->pool[kont];
            for (uint32_t i = 0; i < m->pool[kont] && r == 0; i++) {
                if (m->pool[kont + 1 + 2 * i] == ACCEPT)
                    t->accepts = true;
                else
                    r = go_to(t, m->pool[kont + 1 + 2 * i], m->pool[kont + 2 + 2 * i], err);
            }
            break;
        }
    }
    return r;
}

/* The second half: enter the rules that were called. */
static int enter(struct weir_grammar *m, struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    int r = 0;
    for (uint32_t w = t->waiting_low; w <= t->waiting_high && r == 0; w++)
        while (t->waiting[w] && r == 0) {
            const uint32_t rank = w * 64 + (uint32_t)__builtin_ctzll(t->waiting[w]);
            const uint32_t rule = m->g->by_rank[rank];
            uint32_t n = 0, kont = 0;
            t->waiting[w] &= t->waiting[w] - 1;
            for (uint32_t i = t->first_call[rule]; i != UINT32_MAX; i = t->call[i].next)
                t->entry[n++] = t->call[i].to;
            t->first_call[rule] = UINT32_MAX;
            n = sort_unique(t->entry, n);
            r = keep_kont(m, t->entry, n, &kont, err);
            if (r == 0)
                r = go_to(t, m->g->rule[rule].start, kont, err);
            if (r == 0)
                r = follow(m, false, err);
        }
    return r;
}

static void begin(struct weir_grammar_scratch *t)
{
    t->n_item = t->n_todo = t->n_call = t->n_seen = 0;
    t->accepts = false;
    t->waiting_low = UINT32_MAX;
    t->waiting_high = 0;
    if (++t->now == 0) {
        memset(t->stamp, 0, sizeof(t->stamp));
        t->now = 1;
    }
}

/* A step was given up half-way: nothing of it must be seen by the next. */
static void forget(struct weir_grammar *m)
{
    struct weir_grammar_scratch *t = m->scratch;
    memset(t->first_call, 0xFF, m->g->n_rule * sizeof(*t->first_call));
    memset(t->waiting, 0, (m->g->n_rule / 64 + 1) * sizeof(*t->waiting));
}

int weir_grammar_start(struct weir_grammar *m, weir_gstate *ret, struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    begin(t);
    int r = put_call(m, m->g->root, (struct pair){ ACCEPT, 0 }, err);
    if (r == 0)
        r = enter(m, err);
    t->accepts = m->g->rule[m->g->root].nullable;
    if (r == 0)
        r = keep_state(m, ret, err);
    if (r < 0)
        forget(m);
    return r;
}

int weir_grammar_step(struct weir_grammar *m, weir_gstate s, uint8_t byte, weir_gstate *ret,
                      struct weir_err *err)
{
    struct weir_grammar_scratch *t = m->scratch;
    const struct weir_gbnf *g = m->g;
    weir_gstate to = WEIR_GSTATE_DEAD;
    int r = 0;
    if (s == WEIR_GSTATE_DEAD) {
        *ret = WEIR_GSTATE_DEAD;
        return 0;
    }
    const uint32_t known = weir_grammar_peek(m, s, byte);
    if (known) {
        *ret = known;
        return 0;
    }
    begin(t);
    const uint32_t n = m->pool[s] & WEIR_GSTATE_COUNT, at = items_at(m, s);
    m->work += n;
    for (uint32_t i = 0; i < n && r == 0; i++) {
        const uint32_t word = m->pool[at + 2 * i], kont = m->pool[at + 2 * i + 1];
        const uint32_t pc = word & ((1u << PC_BITS) - 1), row = word >> PC_BITS;
        if (!row) {
            if (g->code[pc].arg == byte)
                r = go_to(t, pc + 1, kont, err);
            continue;
        }
        const uint32_t next = g->row[row].next[byte];
        if (next == WEIR_GBNF_ROW_DONE)
            r = go_to(t, pc + 1, kont, err);
        else if (next != WEIR_GBNF_ROW_DEAD)
            r = put_item(t, pc | next << PC_BITS, kont, err);
    }
    if (r == 0)
        r = follow(m, true, err);
    if (r == 0)
        r = enter(m, err);
    if (r == 0)
        r = keep_state(m, &to, err);
    if (r < 0) {
        forget(m);
        return r;
    }
    m->pool[s + WEIR_GSTATE_TABLE + g->byte_class[byte]] = to;
    *ret = to;
    return 0;
}

/* ---- cleaning up: copy what is reachable to the other half of the memory ---- */

/* Where the return set K of the old half lies in the new one; copied when it is met first.  Its old
 * place then holds the new one, marked. */
#define MOVED 0x80000000u

static uint32_t move_kont(struct weir_grammar *m, uint32_t k)
{
    uint32_t *old = m->from + k;
    if (!k || *old & MOVED)
        return k ? *old & ~MOVED : 0;
    const uint32_t size = 1 + 2 * *old, to = m->used;
    memcpy(m->pool + to, old, size * sizeof(*old));
    m->used += size;
    *old = to | MOVED;
    return to;
}

static void insert_hash(uint32_t *table, uint32_t n_hash, uint32_t hash, uint32_t v)
{
    uint32_t h = hash & (n_hash - 1);
    while (table[h])
        h = (h + 1) & (n_hash - 1);
    table[h] = v;
}

int weir_grammar_collect(struct weir_grammar *m, weir_gstate *roots, size_t n, struct weir_err *err)
{
    uint32_t *const old = m->pool;
    m->pool = m->from;
    m->from = old;
    m->used = 2;
    m->n_state = m->n_kont = 0;
    m->collections++;
    memset(m->state_at, 0, m->n_hash * sizeof(*m->state_at));
    memset(m->kont_at, 0, m->n_hash * sizeof(*m->kont_at));

    /* The states first, one behind the other; a root that comes twice is moved once: its tag tells
     * where. */
    const uint32_t head = WEIR_GSTATE_TABLE + m->g->n_byte_class;
    for (size_t i = 0; i < n; i++)
        if (roots[i] > WEIR_GSTATE_DEAD)
            old[roots[i] + WEIR_GSTATE_TAG] = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t *s = old + roots[i];
        if (roots[i] <= WEIR_GSTATE_DEAD)
            continue;
        if (!s[WEIR_GSTATE_TAG]) {
            const uint32_t size = head + 2 * (s[WEIR_GSTATE_N] & WEIR_GSTATE_COUNT);
            uint32_t *to = m->pool + m->used;
            memcpy(to, s, size * sizeof(*s));
            memset(to + WEIR_GSTATE_TAG, 0, (head - WEIR_GSTATE_TAG) * sizeof(*to));
            s[WEIR_GSTATE_TAG] = m->used;
            m->used += size;
            m->n_state++;
        }
        roots[i] = s[WEIR_GSTATE_TAG];
    }
    const uint32_t konts = m->used;
    for (uint32_t s = 2; s < konts;) {
        const uint32_t count = m->pool[s] & WEIR_GSTATE_COUNT;
        for (uint32_t i = 0; i < count; i++)
            m->pool[s + head + 2 * i + 1] = move_kont(m, m->pool[s + head + 2 * i + 1]);
        s += head + 2 * count;
    }
    for (uint32_t k = konts; k < m->used; k += 1 + 2 * m->pool[k]) /* moves more while it goes */
        for (uint32_t i = 0; i < m->pool[k]; i++)
            m->pool[k + 2 + 2 * i] = move_kont(m, m->pool[k + 2 + 2 * i]);
    /* Places have changed, so the order of pairs has; then everything can be found again. */
    for (uint32_t k = konts; k < m->used; k += 1 + 2 * m->pool[k]) {
        sort_unique((struct pair *)(m->pool + k + 1), m->pool[k]);
        insert_hash(m->kont_at, m->n_hash, kont_hash(m, k), k);
        m->n_kont++;
    }
    for (uint32_t s = 2; s < konts;) {
        const uint32_t count = m->pool[s] & WEIR_GSTATE_COUNT;
        sort_unique((struct pair *)(m->pool + s + head), count);
        insert_hash(m->state_at, m->n_hash, state_hash(m, s), s);
        s += head + 2 * count;
    }
    if (m->used > m->cap / 2 || m->n_kont > m->n_hash / 4)
        return weir_fail(err, -E2BIG,
                         "the text is nested too deeply for the grammar's memory of %llu bytes",
                         (unsigned long long)m->cap * sizeof(uint32_t));
    return 0;
}

/* ---- making one ---- */

static uint64_t pool_words(uint64_t bytes)
{
    bytes = weir_max_u64(bytes, POOL_MIN);
    return weir_min_u64(bytes / sizeof(uint32_t) / 2, 1u << 30);
}

static uint32_t hash_size(uint64_t words)
{
    uint32_t n = 1024;
    while (n < words / 8)
        n *= 2;
    return n;
}

int weir_grammar_new(const struct weir_gbnf *g, uint64_t pool_bytes, struct weir_grammar **ret,
                     struct weir_err *err)
{
    struct weir_grammar *m = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*m));
    if (!m)
        goto no_memory;
    m->g = g;
    m->cap = (uint32_t)pool_words(pool_bytes);
    m->used = 2; /* 0 and 1 are UNKNOWN and DEAD; 0 is also no return set */
    m->n_hash = hash_size(m->cap);
    m->work_max = UINT64_MAX;
    m->pool = weir_alloc(WEIR_MEM_TEXT, m->cap, sizeof(*m->pool));
    m->from = weir_alloc(WEIR_MEM_TEXT, m->cap, sizeof(*m->from));
    m->state_at = weir_alloc(WEIR_MEM_TEXT, m->n_hash, sizeof(*m->state_at));
    m->kont_at = weir_alloc(WEIR_MEM_TEXT, m->n_hash, sizeof(*m->kont_at));
    m->scratch = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*m->scratch));
    if (!m->pool || !m->from || !m->state_at || !m->kont_at || !m->scratch)
        goto no_memory;
    m->scratch->first_call = weir_alloc(WEIR_MEM_TEXT, g->n_rule, sizeof(uint32_t));
    m->scratch->waiting = weir_alloc(WEIR_MEM_TEXT, g->n_rule / 64 + 1, sizeof(uint64_t));
    if (!m->scratch->first_call || !m->scratch->waiting)
        goto no_memory;
    forget(m);
    *ret = m;
    return 0;
no_memory:
    weir_grammar_free(m);
    return weir_fail(err, -ENOMEM, "no memory to match a grammar with");
}

void weir_grammar_free(struct weir_grammar *m)
{
    if (!m)
        return;
    if (m->scratch) {
        weir_free(m->scratch->first_call);
        weir_free(m->scratch->waiting);
    }
    weir_free(m->scratch);
    weir_free(m->kont_at);
    weir_free(m->state_at);
    weir_free(m->from);
    weir_free(m->pool);
    weir_free(m);
}
