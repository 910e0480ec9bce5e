/* SPDX-License-Identifier: MIT
 *
 * Owns where each character of a typed line is on the screen.  Rows are ended by us and not by the
 * terminal's own wrapping, so that it and we agree on their number whatever it thinks of widths. */
#include "config.h"

#include "src/cmd/line_draw.h"

#include "base/hash.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#define TAB 8u

/* Before a character: its row, and the columns of that row that are taken. */
struct place {
    unsigned row, col;
};

/* How C is shown at column COL: bytes without an end, and the columns they take. */
static size_t shown(wchar_t c, unsigned col, unsigned cols, char buf[MB_LEN_MAX + TAB],
                    unsigned *ret_width)
{
    mbstate_t state = { 0 };
    if (c == L'\t') {
        const unsigned to_stop = TAB - col % TAB;
        *ret_width = col < cols && to_stop > cols - col ? cols - col : to_stop;
        memset(buf, ' ', *ret_width);
        return *ret_width;
    }
    if (c < 0x20 || c == 0x7f) {
        buf[0] = '^';
        buf[1] = (char)(c ^ 0x40);
        *ret_width = 2;
        return 2;
    }
    if (wcwidth(c) < 0)
        c = 0xfffd;
    const size_t n = wcrtomb(buf, c, &state);
    if (n == (size_t)-1) {
        buf[0] = '?';
        *ret_width = 1;
        return 1;
    }
    *ret_width = wcwidth(c) > 0 ? (unsigned)wcwidth(c) : 0;
    return n;
}

/* Go over C; it is printed when OUT is given.  Row 0 begins with the prompt. */
static void step(struct place *p, wchar_t c, unsigned cols, FILE *out)
{
    char buf[MB_LEN_MAX + TAB];
    unsigned width = 0;
    size_t n = 0;
    bool next = c == L'\n';
    if (!next) {
        n = shown(c, p->col, cols, buf, &width);
        next = p->col + width > cols && p->col;
    }
    if (next) {
        p->row++;
        p->col = 0;
        if (out)
            fputs("\r\n", out);
    }
    if (out)
        fwrite(buf, 1, n, out);
    p->col += width;
}

/* The place of TEXT[to]: at the right edge it is the next row. */
static struct place place_of(const struct weir_line_text *t, size_t to, unsigned cols)
{
    struct place p = { 0 };
    for (const char *s = t->prompt; *s; s++)
        step(&p, (wchar_t)*s, cols, NULL);
    for (size_t i = 0; i < to; i++)
        step(&p, t->text[i], cols, NULL);
    if (p.col >= cols)
        p = (struct place){ p.row + 1, 0 };
    return p;
}

/* Print rows [first, last] up to TEXT[to]. */
static void print(const struct weir_line_draw *d, const struct weir_line_text *t, size_t to,
                  unsigned first, unsigned last)
{
    struct place p = { 0 };
    const size_t n_prompt = strlen(t->prompt);
    for (size_t i = 0; i < n_prompt + to; i++) {
        const wchar_t c = i < n_prompt ? (wchar_t)t->prompt[i] : t->text[i - n_prompt];
        struct place q = p;
        step(&q, c, d->cols, NULL);
        if (q.row > last)
            return;
        /* The end of the row before FIRST is not printed. */
        if (q.row > first)
            step(&p, c, d->cols, d->out);
        else if (q.row == first && q.row > p.row && c != L'\n') {
            p = (struct place){ q.row, 0 };
            step(&p, c, d->cols, d->out);
        } else {
            step(&p, c, d->cols, q.row == first && c != L'\n' ? d->out : NULL);
        }
    }
    if (p.col >= d->cols && p.row >= first && p.row < last)
        fputs("\r\n", d->out);
}

static void ask_size(struct weir_line_draw *d)
{
    struct winsize w = { 0 };
    const bool known = !ioctl(fileno(d->out), TIOCGWINSZ, &w);
    d->cols = known && w.ws_col ? w.ws_col : 80;
    d->rows = known && w.ws_row ? w.ws_row : 24;
    if (d->cols < 2)
        d->cols = 2; /* a wide character */
}

static void go_up(const struct weir_line_draw *d, unsigned n)
{
    if (n)
        fprintf(d->out, "\033[%uA", n);
    fputc('\r', d->out);
}

/* To where T begins on the screen; nothing is there from now on. */
static void wipe(struct weir_line_draw *d)
{
    if (!d->cols)
        ask_size(d);
    go_up(d, d->drawn ? d->at : 0);
    fputs("\033[J", d->out);
    d->drawn = false;
}

static uint64_t hash(const wchar_t *text, size_t n)
{
    return weir_hash(WEIR_HASH_INIT, text, n * sizeof(*text));
}

/* What is typed at the end of a line needs nothing but itself.  False: it is not that. */
static bool draw_more(struct weir_line_draw *d, const struct weir_line_text *t)
{
    if (!d->drawn || d->cursor != d->n || t->cursor != t->n || t->n < d->n ||
        hash(t->text, d->n) != d->what)
        return false;
    struct place p = place_of(t, d->n, d->cols);
    for (size_t i = d->n; i < t->n; i++)
        if (!weir_line_boundary(t->text, t->n, i))
            return false;
    if (place_of(t, t->n, d->cols).row - d->top >= d->rows)
        return false;
    for (size_t i = d->n; i < t->n; i++)
        step(&p, t->text[i], d->cols, d->out);
    if (p.col >= d->cols) {
        fputs("\r\n", d->out);
        p.row++;
    }
    d->at = p.row - d->top;
    return true;
}

static void draw_all(struct weir_line_draw *d, const struct weir_line_text *t)
{
    wipe(d);
    const struct place at = place_of(t, t->cursor, d->cols), end = place_of(t, t->n, d->cols);
    if (end.row < d->rows)
        d->top = 0;
    else if (at.row < d->top)
        d->top = at.row;
    else if (at.row - d->top >= d->rows)
        d->top = at.row - d->rows + 1;
    const unsigned last = end.row - d->top < d->rows ? end.row : d->top + d->rows - 1;
    print(d, t, t->n, d->top, last);
    if (t->cursor < t->n) {
        go_up(d, last - at.row);
        print(d, t, t->cursor, at.row, at.row);
    }
    d->at = at.row - d->top;
}

void weir_line_draw(struct weir_line_draw *d, const struct weir_line_text *t)
{
    const uint64_t what = hash(t->text, t->n);
    if (d->drawn && d->n == t->n && d->cursor == t->cursor && d->what == what)
        return;
    if (!draw_more(d, t))
        draw_all(d, t);
    fflush(d->out);
    d->drawn = true;
    d->what = what;
    d->n = t->n;
    d->cursor = t->cursor;
}

void weir_line_draw_end(struct weir_line_draw *d, const struct weir_line_text *t)
{
    const struct weir_line_text all = { t->prompt, t->text, t->n, t->n };
    if (!d->cols)
        ask_size(d);
    if (place_of(t, t->n, d->cols).row < d->rows) {
        weir_line_draw(d, &all);
    } else {
        wipe(d);
        print(d, t, t->n, 0, UINT_MAX);
        fflush(d->out);
    }
    d->drawn = false;
    d->top = d->at = 0;
}

void weir_line_draw_resized(struct weir_line_draw *d, const struct weir_line_text *t)
{
    const unsigned cols = d->cols;
    ask_size(d);
    if (d->drawn && cols) {
        /* Terminals break rows that have become too long for them. */
        unsigned above = 0;
        struct place p = { 0 };
        const size_t n_prompt = strlen(t->prompt);
        for (size_t i = 0; i < n_prompt + t->cursor; i++) {
            struct place q = p;
            step(&q, i < n_prompt ? (wchar_t)t->prompt[i] : t->text[i - n_prompt], cols, NULL);
            if (q.row > p.row && p.row >= d->top)
                above += p.col ? (p.col - 1) / d->cols + 1 : 1;
            p = q;
        }
        above += p.col < cols ? p.col / d->cols : 0;
        d->at = above < d->rows ? above : d->rows - 1;
    }
    d->n = SIZE_MAX; /* draw all */
    weir_line_draw(d, t);
}

void weir_line_draw_clear(struct weir_line_draw *d)
{
    fputs("\033[H\033[2J", d->out);
    d->drawn = false;
    d->top = 0;
}

/* ---- characters ---- */

static bool is_flag(wchar_t c) { return c >= 0x1f1e6 && c <= 0x1f1ff; }

bool weir_line_boundary(const wchar_t *text, size_t n, size_t at)
{
    if (at == 0 || at >= n)
        return true;
    const wchar_t before = text[at - 1], c = text[at];
    if (before == L'\n' || c == L'\n')
        return true;
    if (c && wcwidth(c) == 0) /* marks, joiners, selectors */
        return false;
    if (before == 0x200d && wcwidth(c) == 2)
        return false;
    if (c >= 0x1f3fb && c <= 0x1f3ff && wcwidth(before) == 2) /* the colour of a skin */
        return false;
    if (is_flag(c)) { /* they come in twos */
        size_t flags = 0;
        while (flags < at && is_flag(text[at - 1 - flags]))
            flags++;
        return flags % 2 == 0;
    }
    return true;
}
