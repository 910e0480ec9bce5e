/* SPDX-License-Identifier: MIT
 *
 * Owns the walk through a pickle: its stack, marks and memo, and which instructions are taken at
 * all.  What they make is in torch_objects.c.  There is no recursion; every array is bounded. */
#include "config.h"

#include "mmap/torch_pickle.h"

#include "base/cur.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

#define MARKS_MAX 64 /* containers open at a time */
#define LINE_MAX  512

typedef unsigned long long ull;

/* The numbers of the instructions (Python's Lib/pickletools.py describes them). */
enum {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_NONE = 'N',
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_LONG1 = 0x8a,
    OP_BINFLOAT = 'G',
    OP_SHORT_BINSTRING = 'U',
    OP_BINUNICODE = 'X',
    OP_EMPTY_TUPLE = ')',
    OP_TUPLE = 't',
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_EMPTY_LIST = ']',
    OP_APPEND = 'a',
    OP_APPENDS = 'e',
    OP_EMPTY_DICT = '}',
    OP_SETITEM = 's',
    OP_SETITEMS = 'u',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_GLOBAL = 'c',
    OP_REDUCE = 'R',
    OP_BUILD = 'b',
    OP_BINPERSID = 'Q',
    OP_PROTO = 0x80,
    OP_STACK_GLOBAL = 0x93,
    OP_INST = 'i',
};

/* Those that exist and are never taken, for the sentence. */
static const struct {
    uint8_t op;
    const char *name;
} refused[] = {
    { 'o', "OBJ" },
    { 0x81, "NEWOBJ" },
    { 0x92, "NEWOBJ_EX" },
    { 0x82, "EXT1" },
    { 0x83, "EXT2" },
    { 0x84, "EXT4" },
    { 'P', "PERSID" },
    { 'l', "LIST" },
    { 'd', "DICT" },
    { 'I', "INT" },
    { 'L', "LONG" },
    { 0x8b, "LONG4" },
    { 'F', "FLOAT" },
    { 'S', "STRING" },
    { 'T', "BINSTRING" },
    { 'V', "UNICODE" },
    { 0x8c, "SHORT_BINUNICODE" },
    { 0x8d, "BINUNICODE8" },
    { 'C', "SHORT_BINBYTES" },
    { 'B', "BINBYTES" },
    { 0x8e, "BINBYTES8" },
    { 0x96, "BYTEARRAY8" },
    { 0x97, "NEXT_BUFFER" },
    { 0x98, "READONLY_BUFFER" },
    { 0x8f, "EMPTY_SET" },
    { 0x90, "ADDITEMS" },
    { 0x91, "FROZENSET" },
    { '0', "POP" },
    { '1', "POP_MARK" },
    { '2', "DUP" },
    { 'p', "PUT" },
    { 'g', "GET" },
    { 0x94, "MEMOIZE" },
    { 0x95, "FRAME" },
};

struct reader {
    struct weir_pickle *p;
    struct weir_cur c;
    struct weir_pickle_value *stack, *memo;
    size_t n_stack, cap_stack, n_memo, cap_memo;
    size_t mark[MARKS_MAX]; /* heights of the stack */
    uint32_t n_mark;
    struct weir_err *err;
};

static int bad(const struct reader *r, const char *what)
{
    return weir_fail(r->err, -EINVAL, "%s: its pickle is damaged before byte %llu: %s", r->p->path,
                     (ull)r->c.pos, what);
}

static int push(struct reader *r, enum weir_pickle_kind kind, int64_t v, uint32_t n)
{
    if (r->n_stack >= WEIR_PICKLE_MAX)
        return bad(r, "too many values at a time");
    if (weir_reserve(WEIR_MEM_MISC, &r->stack, &r->cap_stack, r->n_stack + 1, sizeof(*r->stack)))
        return weir_fail(r->err, -ENOMEM, "%s: no memory for %zu values of its pickle", r->p->path,
                         r->n_stack + 1);
    r->stack[r->n_stack++] = (struct weir_pickle_value){ .kind = kind, .v = v, .n = n };
    return 0;
}

/* Are N values above the last mark (or in all)? */
static bool have(const struct reader *r, size_t n)
{
    return r->n_stack - (r->n_mark ? r->mark[r->n_mark - 1] : 0) >= n;
}

static struct weir_pickle_value *top(struct reader *r, size_t back)
{
    return &r->stack[r->n_stack - 1 - back];
}

/* A string of N bytes that follow. */
static int take_string(struct reader *r, uint64_t n)
{
    const uint64_t at = r->c.pos;
    if (!weir_cur_take(&r->c, n))
        return weir_fail(r->err, -EINVAL,
                         "%s: its pickle is damaged: a string of %llu bytes at byte %llu, where "
                         "%llu are left",
                         r->p->path, (ull)n, (ull)at, (ull)(r->c.size - at));
    return push(r, WEIR_PICKLE_STR, (int64_t)at, (uint32_t)n);
}

/* N bytes, the lowest first, two's complement. */
static int take_long(struct reader *r)
{
    const uint32_t n = weir_cur_u8(&r->c);
    const uint64_t at = r->c.pos;
    const uint8_t *p = weir_cur_take(&r->c, n);
    uint64_t v = 0;
    if (!p)
        return bad(r, "it ends inside a number");
    if (n > 8)
        return push(r, WEIR_PICKLE_LONG, (int64_t)at, n);
    for (uint32_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    if (n && n < 8 && p[n - 1] & 0x80)
        v |= UINT64_MAX << 8 * n;
    return push(r, WEIR_PICKLE_INT, (int64_t)v, 0);
}

/* A name up to the end of its line. */
static int take_line(struct reader *r, const uint8_t **ret, uint64_t *ret_n)
{
    const uint64_t left = weir_cur_left(&r->c), most = left < LINE_MAX ? left : LINE_MAX;
    const uint8_t *p = r->c.base + r->c.pos, *end = most ? memchr(p, '\n', most) : NULL;
    if (!end)
        return bad(r, "the name of a global has no end");
    *ret = p;
    *ret_n = (uint64_t)(end - p);
    weir_cur_take(&r->c, *ret_n + 1);
    return 0;
}

static int take_global(struct reader *r)
{
    const uint8_t *module, *name;
    uint64_t n_module, n_name;
    struct weir_pickle_value v;
    int rc = take_line(r, &module, &n_module);
    if (!rc)
        rc = take_line(r, &name, &n_name);
    if (!rc)
        rc = weir_pickle_global(r->p, module, n_module, name, n_name, &v, r->err);
    return rc ? rc : push(r, v.kind, v.v, v.n);
}

/* INST and STACK_GLOBAL also name what they want: it belongs in the sentence. */
static int refuse_named(struct reader *r, uint8_t op)
{
    const char *with = op == OP_INST ? "INST" : "STACK_GLOBAL";
    const uint8_t *module = NULL, *name = NULL;
    uint64_t n_module = 0, n_name = 0;
    if (op == OP_INST) {
        if (take_line(r, &module, &n_module) || take_line(r, &name, &n_name))
            return -EINVAL;
    } else if (have(r, 2) && top(r, 1)->kind == WEIR_PICKLE_STR &&
               top(r, 0)->kind == WEIR_PICKLE_STR) {
        module = r->p->text + top(r, 1)->v;
        n_module = top(r, 1)->n;
        name = r->p->text + top(r, 0)->v;
        n_name = top(r, 0)->n;
    }
    if (!module)
        return bad(r, "STACK_GLOBAL without two names");
    return weir_fail(r->err, -EINVAL, "%s: its pickle asks to call %.*s.%.*s through %s: refused",
                     r->p->path, (int)(n_module < 80 ? n_module : 80), (const char *)module,
                     (int)(n_name < 80 ? n_name : 80), (const char *)name, with);
}

static int refuse(struct reader *r, uint8_t op)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        if (refused[i].op == op)
            return weir_fail(r->err, -EINVAL,
                             "%s: its pickle uses the instruction %s at byte %llu, which "
                             "torch.save does not write for weights: refused",
                             r->p->path, refused[i].name, (ull)(r->c.pos - 1));
    return weir_fail(r->err, -EINVAL,
                     "%s: its pickle is damaged: there is no instruction %u (at byte %llu)",
                     r->p->path, op, (ull)(r->c.pos - 1));
}

/* The values above the last mark (or the last N, where MARKED is false) are replaced by a tuple of
 * them. */
static int make_tuple(struct reader *r, bool marked, size_t n)
{
    uint32_t list;
    if (marked && !r->n_mark)
        return bad(r, "a tuple without a beginning");
    if (marked)
        n = r->n_stack - r->mark[--r->n_mark];
    else if (!have(r, n))
        return bad(r, "a tuple of more values than there are");
    int rc = weir_pickle_new_list(r->p, &list, r->err);
    for (size_t i = 0; i < n && !rc; i++)
        rc = weir_pickle_append(r->p, list, *top(r, n - 1 - i), r->err);
    r->n_stack -= n;
    return rc ? rc : push(r, WEIR_PICKLE_TUPLE, list, 0);
}

static int make_empty(struct reader *r, enum weir_pickle_kind kind)
{
    uint32_t list;
    int rc = weir_pickle_new_list(r->p, &list, r->err);
    return rc ? rc : push(r, kind, list, 0);
}

/* Move the values above the mark (or the last N) into the list or dict below them. */
static int add_items(struct reader *r, enum weir_pickle_kind kind, bool marked, size_t n)
{
    if (marked && !r->n_mark)
        return bad(r, "items without a beginning");
    if (marked)
        n = r->n_stack - r->mark[--r->n_mark];
    if (!have(r, n + 1) || top(r, n)->kind != kind)
        return bad(r, kind == WEIR_PICKLE_DICT ? "items for what is no dict"
                                               : "items for what is no list");
    if (kind == WEIR_PICKLE_DICT && n % 2)
        return bad(r, "a key without a value");
    int rc = 0;
    const uint32_t list = (uint32_t)top(r, n)->v;
    for (size_t i = 0; i < n && !rc; i++)
        rc = weir_pickle_append(r->p, list, *top(r, n - 1 - i), r->err);
    r->n_stack -= n;
    return rc;
}

static int memo_put(struct reader *r, uint64_t id)
{
    if (!have(r, 1))
        return bad(r, "nothing to remember");
    /* Every pickler counts from 0 on, so a leap is damage (and would cost memory). */
    if (id > r->n_memo || id >= WEIR_PICKLE_MAX)
        return weir_fail(r->err, -EINVAL,
                         "%s: its pickle is damaged: it remembers a value as number %llu, expected "
                         "at most %zu",
                         r->p->path, (ull)id, r->n_memo);
    if (weir_reserve(WEIR_MEM_MISC, &r->memo, &r->cap_memo, id + 1, sizeof(*r->memo)))
        return weir_fail(r->err, -ENOMEM, "%s: no memory for its pickle", r->p->path);
    r->memo[id] = *top(r, 0);
    if (id == r->n_memo)
        r->n_memo++;
    return 0;
}

static int memo_get(struct reader *r, uint64_t id)
{
    if (id >= r->n_memo)
        return weir_fail(r->err, -EINVAL,
                         "%s: its pickle is damaged: it asks for the remembered value %llu, but "
                         "there are %zu",
                         r->p->path, (ull)id, r->n_memo);
    return push(r, r->memo[id].kind, r->memo[id].v, r->memo[id].n);
}

static int reduce(struct reader *r)
{
    struct weir_pickle_value v;
    if (!have(r, 2))
        return bad(r, "a call without arguments");
    int rc = weir_pickle_reduce(r->p, *top(r, 1), *top(r, 0), &v, r->err);
    if (rc)
        return rc;
    r->n_stack--;
    *top(r, 0) = v;
    return 0;
}

/* State for an object: a dict of weights has some, `_metadata`, and nobody needs it. */
static int build(struct reader *r)
{
    if (!have(r, 2))
        return bad(r, "a state without an object");
    if (top(r, 1)->kind != WEIR_PICKLE_DICT || top(r, 0)->kind != WEIR_PICKLE_DICT)
        return weir_fail(r->err, -EINVAL,
                         "%s: its pickle sets the state of an object that is no dict (at byte "
                         "%llu): refused",
                         r->p->path, (ull)(r->c.pos - 1));
    r->n_stack--;
    return 0;
}

static int persistent(struct reader *r)
{
    struct weir_pickle_value v;
    if (!have(r, 1))
        return bad(r, "a reference to nothing");
    int rc = weir_pickle_persistent(r->p, *top(r, 0), &v, r->err);
    if (!rc)
        *top(r, 0) = v;
    return rc;
}

static int step(struct reader *r, uint8_t op)
{
    struct weir_cur *c = &r->c;
    switch (op) {
    case OP_PROTO: {
        const unsigned v = weir_cur_u8(c);
        if (v >= 2 && v <= 5)
            return 0;
        return weir_fail(r->err, -EINVAL, "%s: its pickle is of protocol %u, expected 2",
                         r->p->path, v);
    }
    case OP_MARK:
        if (r->n_mark == MARKS_MAX)
            return bad(r, "more than 64 things inside each other");
        r->mark[r->n_mark++] = r->n_stack;
        return 0;
    case OP_NONE: return push(r, WEIR_PICKLE_NONE, 0, 0);
    case OP_NEWTRUE: return push(r, WEIR_PICKLE_BOOL, 1, 0);
    case OP_NEWFALSE: return push(r, WEIR_PICKLE_BOOL, 0, 0);
    case OP_BININT: return push(r, WEIR_PICKLE_INT, (int32_t)weir_cur_u32(c), 0);
    case OP_BININT1: return push(r, WEIR_PICKLE_INT, weir_cur_u8(c), 0);
    case OP_BININT2: return push(r, WEIR_PICKLE_INT, weir_cur_u16(c), 0);
    case OP_LONG1: return take_long(r);
    case OP_BINFLOAT: weir_cur_u64(c); return push(r, WEIR_PICKLE_REAL, 0, 0);
    case OP_SHORT_BINSTRING: return take_string(r, weir_cur_u8(c));
    case OP_BINUNICODE: return take_string(r, weir_cur_u32(c));
    case OP_EMPTY_TUPLE: return make_tuple(r, false, 0);
    case OP_TUPLE: return make_tuple(r, true, 0);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3: return make_tuple(r, false, op - OP_TUPLE1 + 1u);
    case OP_EMPTY_LIST: return make_empty(r, WEIR_PICKLE_LIST);
    case OP_EMPTY_DICT: return make_empty(r, WEIR_PICKLE_DICT);
    case OP_APPEND: return add_items(r, WEIR_PICKLE_LIST, false, 1);
    case OP_APPENDS: return add_items(r, WEIR_PICKLE_LIST, true, 0);
    case OP_SETITEM: return add_items(r, WEIR_PICKLE_DICT, false, 2);
    case OP_SETITEMS: return add_items(r, WEIR_PICKLE_DICT, true, 0);
    case OP_BINPUT: return memo_put(r, weir_cur_u8(c));
    case OP_LONG_BINPUT: return memo_put(r, weir_cur_u32(c));
    case OP_BINGET: return memo_get(r, weir_cur_u8(c));
    case OP_LONG_BINGET: return memo_get(r, weir_cur_u32(c));
    case OP_GLOBAL: return take_global(r);
    case OP_REDUCE: return reduce(r);
    case OP_BUILD: return build(r);
    case OP_BINPERSID: return persistent(r);
    case OP_INST:
    case OP_STACK_GLOBAL: return refuse_named(r, op);
    default: return refuse(r, op);
    }
}

int weir_pickle_read(struct weir_pickle *p, const uint8_t *text, uint64_t n, const char *path,
                     uint64_t *ret_used, struct weir_err *err)
{
    *p = (struct weir_pickle){ .text = text, .n_text = n, .path = path };
    struct reader r = { .p = p, .c = weir_cur_of(text, n), .err = err };
    int rc = 0;
    while (!rc) {
        const uint8_t op = weir_cur_u8(&r.c);
        if (r.c.bad || op == OP_STOP)
            break;
        rc = step(&r, op);
        if (!rc && r.c.bad)
            break;
    }
    if (!rc && r.c.bad)
        rc = bad(&r, "it is cut short");
    if (!rc && (r.n_stack != 1 || r.n_mark))
        rc = bad(&r, "it does not end with one value");
    if (!rc) {
        p->root = r.stack[0];
        *ret_used = r.c.pos;
    }
    weir_free(r.stack);
    weir_free(r.memo);
    return rc;
}

void weir_pickle_done(struct weir_pickle *p)
{
    weir_free(p->node);
    weir_free(p->list);
    weir_free(p->storage);
    weir_free(p->tensor);
    *p = (struct weir_pickle){ 0 };
}
