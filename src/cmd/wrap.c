/* SPDX-License-Identifier: MIT
 * Owns where lines end on a terminal. */
#include "config.h"

#include "src/cmd/wrap.h"

#include "base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#define TAB      8u
#define NO_FENCE 4u /* of ticks: the line begins with something else */

static void end_word(struct weir_wrap *w)
{
    w->n_word = 0;
    w->word_cols = 0;
}

static void end_line(struct weir_wrap *w)
{
    w->col = 0;
    w->broken = false;
    w->ticks = 0;
    end_word(w);
}

/* The last column stays free: what a terminal does behind it differs. */
static bool fits(const struct weir_wrap *w, unsigned width)
{
    return w->cols < 4 || w->code || w->col + width < w->cols;
}

/* Go to the next line, with the word that began on this one when that helps. */
static void next_line(struct weir_wrap *w, FILE *f, unsigned width)
{
    if (!w->word_cols || w->word_cols >= w->col || w->n_word > sizeof(w->word) ||
        w->word_cols + width >= w->cols) {
        putc('\n', f);
        w->col = 0;
        end_word(w);
        return;
    }
    fprintf(f, "\033[%uD\033[K\n", w->word_cols);
    fwrite(w->word, 1, w->n_word, f);
    w->col = w->word_cols;
}

/* N bytes that take WIDTH columns and are part of a word, or one by themselves. */
static void glyph(struct weir_wrap *w, FILE *f, const char *p, size_t n, unsigned width)
{
    if (width > 1) /* lines may end on both sides of it */
        end_word(w);
    if (!fits(w, width))
        next_line(w, f, width);
    fwrite(p, 1, n, f);
    w->col += width;
    if (width > 1)
        return;
    if (w->n_word + n <= sizeof(w->word))
        memcpy(w->word + w->n_word, p, n);
    w->n_word += n;
    w->word_cols += width;
}

static void space(struct weir_wrap *w, FILE *f, const char *p, unsigned width)
{
    end_word(w);
    if (!fits(w, width)) { /* the end of the line does as well */
        putc('\n', f);
        w->col = 0;
        return;
    }
    putc(*p, f);
    w->col += width;
}

/* Is this line one of ```?  C: the next character of its beginning. */
static void look_for_fence(struct weir_wrap *w, uint32_t c)
{
    if (w->ticks >= NO_FENCE || (c == ' ' && !w->ticks))
        return;
    w->ticks = c == '`' ? w->ticks + 1 : NO_FENCE;
    if (w->ticks == 3)
        w->code = !w->code;
}

static void put_char(struct weir_wrap *w, FILE *f, uint32_t c, const char *p, size_t n)
{
    if (c == '\n') {
        putc('\n', f);
        end_line(w);
        return;
    }
    look_for_fence(w, c);
    const bool broken = w->broken;
    w->broken = false;
    if (c == ' ' && broken) {
        return;
    } else if (c == ' ') {
        space(w, f, p, 1);
    } else if (c == '\t') {
        space(w, f, p, TAB - w->col % TAB);
    } else if (c < 0x20 || c == 0x7f) {
        const char shown[2] = { '^', (char)(c ^ 0x40) };
        glyph(w, f, shown, 1, 1);
        glyph(w, f, shown + 1, 1, 1);
    } else if (c == WEIR_UTF8_NONE || (c >= 0x80 && c < 0xa0)) {
        glyph(w, f, "?", 1, 1);
    } else {
        const int width = wcwidth((wchar_t)c);
        glyph(w, f, p, n, width < 0 ? 1 : (unsigned)width);
    }
}

void weir_wrap_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
}

void weir_wrap_break(struct weir_wrap *w, FILE *f)
{
    if (!w->col)
        return;
    putc('\n', f);
    w->col = 0;
    w->broken = true;
    end_word(w);
}

unsigned weir_wrap_cols(FILE *f)
{
    const char *term = getenv("TERM");
    struct winsize size;
    if (!term || !*term || !strcmp(term, "dumb") || ioctl(fileno(f), TIOCGWINSZ, &size))
        return 0;
    return size.ws_col;
}

int weir_wrap_put(struct weir_wrap *w, FILE *f, const char *text, size_t n)
{
    errno = 0;
    for (size_t i = 0, len; i < n; i += len) {
        const uint32_t c = weir_utf8_get((const uint8_t *)text + i, n - i, &len);
        put_char(w, f, c, text + i, len);
    }
    return ferror(f) ? (errno ? -errno : -EIO) : 0;
}
