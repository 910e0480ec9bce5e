/* SPDX-License-Identifier: MIT
 *
 * Owns what the rules of a grammar mean together: which can be empty, which can end at all, and an
 * order in which each stands before those it can begin with.  There is one unless a rule begins
 * with itself, which is refused: the matcher would not come to an end.  Everything here takes time
 * linear in the code.  Called once, at the end of parsing. */
#include "config.h"

#include "src/text/gbnf.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

struct check {
    struct weir_gbnf *g;
    uint32_t *owner; /* [n_code] whose code it is */
    uint32_t *first; /* [n_rule + 1] in site: */
    uint32_t *site;  /* the calls of each rule */
    uint32_t *stack; /* [n_code + 1] */
    uint8_t *seen;   /* [n_code] */
    uint8_t *ends;   /* [n_rule] */
};

static bool is_call(struct weir_gbnf_op op) { return op.op == WEIR_GBNF_CALL; }

static int fail_rule(const struct weir_gbnf *g, uint32_t rule, const char *what,
                     struct weir_err *err)
{
    const struct weir_gbnf_rule *r = &g->rule[rule];
    return weir_fail(err, -EINVAL, "grammar, line %u: rule '%.*s' %s", r->line,
                     (int)(r->name_n < 100 ? r->name_n : 100), g->names + r->name, what);
}

static int find_root(struct weir_gbnf *g, struct weir_err *err)
{
    for (uint32_t i = 0; i < g->n_rule; i++)
        if (g->rule[i].start == UINT32_MAX)
            return fail_rule(g, i, "is used but not defined", err);
    for (uint32_t i = 0; i < g->n_rule; i++)
        if (g->rule[i].name_n == 4 && !memcmp(g->names + g->rule[i].name, "root", 4)) {
            g->root = i;
            return 0;
        }
    return weir_fail(err, -EINVAL, "the grammar has no rule named root, with which it would begin");
}

static void find_calls(struct check *c)
{
    const struct weir_gbnf *g = c->g;
    for (uint32_t pc = g->n_code, rule = 0; pc-- > 0;) {
        if (g->code[pc].op == WEIR_GBNF_END)
            rule = (uint32_t)g->code[pc].arg;
        c->owner[pc] = rule;
        if (is_call(g->code[pc]))
            c->first[g->code[pc].arg]++;
    }
    for (uint32_t i = 0, sum = 0; i <= g->n_rule; i++) {
        sum += c->first[i];
        c->first[i] = sum; /* the end of its calls; filling makes it the start */
    }
    for (uint32_t pc = 0; pc < g->n_code; pc++)
        if (is_call(g->code[pc]))
            c->site[--c->first[g->code[pc].arg]] = pc;
}

static uint32_t visit(struct check *c, uint32_t n, uint32_t pc)
{
    if (!c->seen[pc]) {
        c->seen[pc] = 1;
        c->stack[n++] = pc;
    }
    return n;
}

/* What can be reached from the start of each rule, with nothing read (or, BYTES: with anything);
 * calls are passed when the rule called has its end in reach.  That is noted in ends[]. */
static void spread(struct check *c, bool bytes)
{
    const struct weir_gbnf *g = c->g;
    uint32_t n = 0;
    memset(c->seen, 0, g->n_code);
    memset(c->ends, 0, g->n_rule);
    for (uint32_t i = 0; i < g->n_rule; i++)
        n = visit(c, n, g->rule[i].start);
    while (n) {
        const uint32_t pc = c->stack[--n];
        const int32_t arg = g->code[pc].arg;
        switch (g->code[pc].op) {
        case WEIR_GBNF_SPLIT: n = visit(c, visit(c, n, pc + 1), pc + (uint32_t)arg); break;
        case WEIR_GBNF_JMP: n = visit(c, n, pc + (uint32_t)arg); break;
        case WEIR_GBNF_CALL:
            if (c->ends[arg])
                n = visit(c, n, pc + 1);
            break;
        case WEIR_GBNF_END:
            c->ends[arg] = 1;
            for (uint32_t i = c->first[arg]; i < c->first[arg + 1]; i++)
                if (c->seen[c->site[i]])
                    n = visit(c, n, c->site[i] + 1);
            break;
        default:
            if (bytes)
                n = visit(c, n, pc + 1);
            break;
        }
    }
}

/* Some rule that begins with itself: among those that could not be ordered, each has one like it
 * before it, so walking back ends in a circle. */
static int fail_circle(struct check *c, const uint8_t *ordered, struct weir_err *err)
{
    const struct weir_gbnf *g = c->g;
    uint32_t *before = c->stack, rule = 0;
    for (uint32_t pc = 0; pc < g->n_code; pc++)
        if (is_call(g->code[pc]) && c->seen[pc] && !ordered[c->owner[pc]])
            before[g->code[pc].arg] = c->owner[pc];
    while (ordered[rule])
        rule++;
    for (uint32_t i = 0; i < g->n_rule; i++)
        rule = before[rule];
    return fail_rule(g, rule, "can begin with itself (left recursion); let it end with itself",
                     err);
}

/* After spread(c, false): a call that was seen is one its rule can begin with.  Kahn's sort. */
static int order(struct check *c, struct weir_err *err)
{
    struct weir_gbnf *g = c->g;
    uint32_t *waits = weir_alloc(WEIR_MEM_TEXT, g->n_rule, sizeof(*waits)), n = 0;
    uint32_t *end = weir_alloc(WEIR_MEM_TEXT, g->n_rule, sizeof(*end));
    uint8_t *ordered = weir_alloc(WEIR_MEM_TEXT, g->n_rule, 1);
    int r = 0;
    g->by_rank = weir_alloc(WEIR_MEM_TEXT, g->n_rule, sizeof(*g->by_rank));
    if (!waits || !end || !ordered || !g->by_rank) {
        r = weir_fail(err, -ENOMEM, "no memory for a grammar");
        goto out;
    }
    for (uint32_t pc = 0; pc < g->n_code; pc++) {
        if (is_call(g->code[pc]) && c->seen[pc])
            waits[g->code[pc].arg]++;
        if (g->code[pc].op == WEIR_GBNF_END)
            end[g->code[pc].arg] = pc;
    }
    for (uint32_t i = 0; i < g->n_rule; i++)
        if (!waits[i])
            g->by_rank[n++] = i;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t rule = g->by_rank[k];
        g->rule[rule].rank = k;
        ordered[rule] = 1;
        for (uint32_t pc = g->rule[rule].start; pc < end[rule]; pc++)
            if (is_call(g->code[pc]) && c->seen[pc] && !--waits[g->code[pc].arg])
                g->by_rank[n++] = (uint32_t)g->code[pc].arg;
    }
    if (n < g->n_rule)
        r = fail_circle(c, ordered, err);
out:
    weir_free(waits);
    weir_free(end);
    weir_free(ordered);
    return r;
}

static void find_tails(struct weir_gbnf *g)
{
    for (uint32_t pc = 0; pc < g->n_code; pc++) {
        uint32_t next = pc + 1;
        if (!is_call(g->code[pc]))
            continue;
        for (int i = 0; i < 1000 && g->code[next].op == WEIR_GBNF_JMP; i++)
            next += (uint32_t)g->code[next].arg;
        if (g->code[next].op == WEIR_GBNF_END)
            g->code[pc].op = WEIR_GBNF_TAIL;
    }
}

/* ---- bytes nothing tells apart ---- */

struct split { /* (old class, number of the value) to the new class, for one row */
    uint32_t stamp[256][256];
    uint8_t to[256][256];
    uint32_t value_stamp[WEIR_GBNF_ROWS_MAX];
    uint8_t value[WEIR_GBNF_ROWS_MAX];
};

static int find_byte_classes(struct weir_gbnf *g, struct weir_err *err)
{
    struct split *s = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*s));
    struct weir_gbnf_row single = { { 0 } };
    if (!s)
        return weir_fail(err, -ENOMEM, "no memory for a grammar");
    for (uint32_t pc = 0, n = 0; pc < g->n_code; pc++)
        if (g->code[pc].op == WEIR_GBNF_BYTE && !single.next[g->code[pc].arg])
            single.next[g->code[pc].arg] = (uint16_t)++n;
    g->n_byte_class = 1;
    for (uint32_t i = 1; i < g->n_row || i == 1; i++) { /* 1 stands for the single bytes */
        const uint16_t *next = i == 1 ? single.next : g->row[i].next;
        uint32_t n_value = 0, n = 0;
        for (int b = 0; b < 256; b++) {
            if (s->value_stamp[next[b]] != i) {
                s->value_stamp[next[b]] = i;
                s->value[next[b]] = (uint8_t)n_value++;
            }
            const uint8_t old = g->byte_class[b], v = s->value[next[b]];
            if (s->stamp[old][v] != i) {
                s->stamp[old][v] = i;
                s->to[old][v] = (uint8_t)n++;
            }
            g->byte_class[b] = s->to[old][v];
        }
        g->n_byte_class = n;
    }
    weir_free(s);
    return 0;
}

int weir_gbnf_check(struct weir_gbnf *g, struct weir_err *err)
{
    int r = find_root(g, err);
    if (r < 0)
        return r;
    struct check c = {
        .g = g,
        .owner = weir_alloc(WEIR_MEM_TEXT, g->n_code, sizeof(uint32_t)),
        .first = weir_alloc(WEIR_MEM_TEXT, (size_t)g->n_rule + 1, sizeof(uint32_t)),
        .site = weir_alloc(WEIR_MEM_TEXT, g->n_code, sizeof(uint32_t)),
        .stack = weir_alloc(WEIR_MEM_TEXT, (size_t)g->n_code + g->n_rule, sizeof(uint32_t)),
        .seen = weir_alloc(WEIR_MEM_TEXT, g->n_code, 1),
        .ends = weir_alloc(WEIR_MEM_TEXT, g->n_rule, 1),
    };
    if (!c.owner || !c.first || !c.site || !c.stack || !c.seen || !c.ends) {
        r = weir_fail(err, -ENOMEM, "no memory for a grammar");
        goto out;
    }
    find_calls(&c);
    spread(&c, true);
    for (uint32_t i = 0; i < g->n_rule && r == 0; i++)
        if (!c.ends[i])
            r = fail_rule(g, i, "never ends: no text matches it", err);
    if (r < 0)
        goto out;
    spread(&c, false);
    for (uint32_t i = 0; i < g->n_rule; i++)
        g->rule[i].nullable = c.ends[i];
    r = order(&c, err);
    if (r < 0)
        goto out;
    find_tails(g);
    r = find_byte_classes(g, err);
out:
    weir_free(c.owner);
    weir_free(c.first);
    weir_free(c.site);
    weir_free(c.stack);
    weir_free(c.seen);
    weir_free(c.ends);
    return r;
}
