/* SPDX-License-Identifier: MIT
 * Owns the border between thought and answer.  One thread. */
#include "config.h"

#include "src/text/think.h"

#include <string.h>

static const struct {
    const char *open, *close;
} markers[] = {
    { "<think>", "</think>" },
    { "[THINK]", "[/THINK]" },
    { "<|START_THINKING|>", "<|END_THINKING|>" },
    { "<seed:think>", "</seed:think>" },
};
#define N_MARKER ((int)(sizeof(markers) / sizeof(markers[0])))

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

int weir_think_begun(const char *text, size_t n)
{
    while (n && is_space(text[n - 1]))
        n--;
    for (int i = 0; i < N_MARKER; i++) {
        const size_t len = strlen(markers[i].open);
        if (n >= len && !memcmp(text + n - len, markers[i].open, len))
            return i;
    }
    return -1;
}

void weir_think_init(struct weir_think *t, int begun)
{
    *t = (struct weir_think){ .skip = true };
    if (begun >= 0 && begun < N_MARKER) {
        t->state = WEIR_THINK_THOUGHT;
        t->kind = begun;
    }
}

/* Pieces on their way out. */
struct out {
    weir_think_fn *fn;
    void *arg;
    size_t n;
    char buf[512];
};

static int drain(struct out *o)
{
    const size_t n = o->n;
    o->n = 0;
    return n ? o->fn(o->arg, true, o->buf, n) : 0;
}

static bool starts(const char *marker, const char *held, size_t n)
{
    return !strncmp(marker, held, n);
}

/* HELD grew by a byte, and may be an opening marker. */
static int opening(struct weir_think *t, weir_think_fn *fn, void *arg)
{
    bool may = false;
    for (int i = 0; i < N_MARKER; i++) {
        if (!starts(markers[i].open, t->held, t->n_held))
            continue;
        may = true;
        if (markers[i].open[t->n_held])
            continue;
        t->state = WEIR_THINK_THOUGHT;
        t->kind = i;
        t->skip = true;
        t->n_held = 0;
        return 0;
    }
    if (may)
        return 0;
    const size_t n = t->n_held;
    t->state = WEIR_THINK_ANSWER;
    t->skip = false;
    t->n_held = 0;
    return fn(arg, false, t->held, n);
}

/* HELD grew by a byte, and may be the closing marker. */
static int closing(struct weir_think *t, struct out *o)
{
    const char *close = markers[t->kind].close;
    while (!starts(close, t->held, t->n_held)) {
        if (o->n == sizeof(o->buf)) {
            const int r = drain(o);
            if (r < 0)
                return r;
        }
        o->buf[o->n++] = t->held[0];
        memmove(t->held, t->held + 1, --t->n_held);
    }
    if (!t->n_held || close[t->n_held])
        return 0;
    t->state = WEIR_THINK_ANSWER;
    t->skip = true;
    t->n_held = 0;
    return 0;
}

int weir_think_push(struct weir_think *t, const char *text, size_t n, weir_think_fn *fn, void *arg)
{
    struct out o = { .fn = fn, .arg = arg };
    int r = 0;
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (t->skip && !t->n_held && is_space(text[i]))
            continue;
        if (t->state == WEIR_THINK_ANSWER) {
            t->skip = false;
            r = drain(&o);
            return r < 0 ? r : fn(arg, false, text + i, n - i);
        }
        t->held[t->n_held++] = text[i];
        if (t->state == WEIR_THINK_OPEN) {
            r = opening(t, fn, arg);
        } else {
            t->skip = false;
            r = closing(t, &o);
        }
    }
    return r < 0 ? r : drain(&o);
}

int weir_think_flush(struct weir_think *t, weir_think_fn *fn, void *arg)
{
    const size_t n = t->n_held;
    t->n_held = 0;
    return n ? fn(arg, t->state == WEIR_THINK_THOUGHT, t->held, n) : 0;
}
