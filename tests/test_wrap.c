/* SPDX-License-Identifier: MIT
 *
 * Text on a terminal, which is one of the test's own: where lines end, that no word is cut which a
 * line has room for, however the text came in pieces, and that nothing in it commands the terminal.
 */
#include "config.h"

#include "base/utf8.h"
#include "src/cmd/wrap.h"
#include "tests/rnd.h"
#include "tests/tap.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#define ROWS 400
#define COLS 200

/* What is on the screen: a character to each cell, 0 behind a wide one's first. */
static struct {
    uint32_t cell[ROWS][COLS];
    unsigned row, col, cols;
    char odd[100]; /* what a terminal would not be told by text */
} screen;

static void screen_clear(unsigned cols)
{
    memset(&screen, 0, sizeof(screen));
    screen.cols = cols;
}

static void complain(const char *what)
{
    if (!screen.odd[0])
        snprintf(screen.odd, sizeof(screen.odd), "%s", what);
}

/* ESC [ number letter, of which two are known.  Bytes used. */
static size_t command(const char *p, size_t n)
{
    unsigned count = 0;
    size_t i = 2;
    if (n < 3 || p[1] != '[') {
        complain("an escape that is none of ours");
        return n;
    }
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
        count = count * 10 + (unsigned)(p[i] - '0');
    if (i < n && p[i] == 'D' && count && count <= screen.col)
        screen.col -= count;
    else if (i < n && p[i] == 'K' && !count)
        memset(&screen.cell[screen.row][screen.col], 0, (COLS - screen.col) * sizeof(uint32_t));
    else
        complain("a command that is none of ours");
    return i + 1;
}

static void screen_show(const char *p, size_t n)
{
    for (size_t i = 0, len; i < n && screen.row < ROWS; i += len) {
        const uint32_t c = weir_utf8_get((const uint8_t *)p + i, n - i, &len);
        const int width = c == WEIR_UTF8_NONE ? -1 : wcwidth((wchar_t)c);
        if (c == 27) {
            len = command(p + i, n - i);
        } else if (c == '\n') {
            screen.row++;
            screen.col = 0;
        } else if (c == '\t') {
            screen.col += 8 - screen.col % 8;
        } else if (width < 0) {
            complain("a character that is none");
        } else if (width) {
            if (screen.col + (unsigned)width > screen.cols) {
                complain("the terminal had to end a line");
                screen.row++;
                screen.col = 0;
            }
            screen.cell[screen.row][screen.col] = c;
            screen.col += (unsigned)width;
        }
    }
}

/* The screen as text: rows, spaces at their ends left out. */
static char *screen_text(void)
{
    static char text[ROWS * COLS * 4];
    size_t n = 0;
    for (unsigned r = 0; r <= screen.row && r < ROWS; r++) {
        size_t end = n;
        for (unsigned c = 0; c < COLS; c++) {
            const uint32_t v = screen.cell[r][c];
            const bool behind =
                c && !v && screen.cell[r][c - 1] && wcwidth((wchar_t)screen.cell[r][c - 1]) == 2;
            if (v)
                end = n += weir_utf8_put((uint8_t *)text + n, v);
            else if (!behind)
                text[n++] = ' ';
            if (v == ' ')
                end--;
        }
        n = end;
        text[n++] = '\n';
    }
    text[n ? n - 1 : 0] = 0;
    return text;
}

/* TEXT on a terminal of COLS, whole characters at a time, as many as chance says or one. */
static char *wrapped(const char *text, unsigned cols, bool chance)
{
    struct weir_wrap w = { .cols = cols };
    const size_t n = strlen(text);
    char *out = NULL;
    size_t n_out = 0;
    FILE *f = open_memstream(&out, &n_out);
    for (size_t i = 0, m; i < n; i += m) {
        m = 0;
        do {
            size_t len;
            weir_utf8_get((const uint8_t *)text + i + m, n - i - m, &len);
            m += len;
        } while (i + m < n && chance && rnd() % 4);
        if (weir_wrap_put(&w, f, text + i, m))
            complain("writing failed");
    }
    fclose(f);
    screen_clear(cols ? cols : COLS);
    screen_show(out, n_out);
    free(out);
    return screen_text();
}

static void is(const char *text, unsigned cols, const char *want, const char *what)
{
    const char *got = wrapped(text, cols, false);
    if (!ok(!strcmp(got, want) && !screen.odd[0], "%s%s%s", what, screen.odd[0] ? ": " : "",
            screen.odd))
        printf("# |%s|\n# not\n# |%s|\n", got, want);
}

static void test_lines(void)
{
    is("one two three four", 80, "one two three four", "a line that has room");
    is("one two three four", 10, "one two\nthree\nfour", "words that have none go to the next");
    is("one two\nthree", 10, "one two\nthree", "lines end where they are ended");
    is("aaaa bbbb cccc", 10, "aaaa bbbb\ncccc", "a line that is full but for its last column");
    is("aaaa bbbbb", 10, "aaaa\nbbbbb", "the last column stays free");
    is("a abcdefghijklmnopqrstuvwxyz z", 10, "a\nabcdefghi\njklmnopqr\nstuvwxyz\nz",
       "a word longer than a line is cut");
    is("", 10, "", "nothing");
    is("one two three four five", 0, "one two three four five", "of a terminal without a width");
    is("a  b   c", 80, "a  b   c", "spaces stay");
    is("a\tb", 80, "a       b", "so do tabs");
}

static void test_wide(void)
{
    is("\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C", 6,
       "\xE4\xBD\xA0\xE5\xA5\xBD\n\xE4\xB8\x96\xE7\x95\x8C", "lines end between wide characters");
    is("na\xC3\xAFve caf\xC3\xA9", 8, "na\xC3\xAFve\ncaf\xC3\xA9",
       "letters of two bytes have one column");
    is("xx e\xCC\x81t\xC3\xA9 yy", 8, "xx et\xC3\xA9\nyy", "what combines has none");
}

static void test_code(void)
{
    /* the screen ends the long line, as a terminal does */
    wrapped("see\n```c\nint a; int b; int c;\n```\none two three", 12, false);
    ok(!strcmp(screen.odd, "the terminal had to end a line"), "code is left to the terminal");
    is("a ``` b c d e f g h", 10, "a ``` b c\nd e f g h", "``` within a line is none");
    is("```\nx\n```\none two three", 10, "```\nx\n```\none two\nthree",
       "behind it lines end again");
}

static void test_break(void)
{
    struct weir_wrap w = { .cols = 20 };
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    weir_wrap_break(&w, f);
    weir_wrap_put(&w, f, "one two", 7);
    weir_wrap_break(&w, f);
    weir_wrap_break(&w, f);
    weir_wrap_put(&w, f, " three four five six", 20);
    fclose(f);
    screen_clear(20);
    screen_show(out, n);
    ok(!strcmp(screen_text(), "one two\nthree four five six") && !screen.odd[0],
       "a line that is ended for something else takes its space along");
    free(out);
}

static void test_commands(void)
{
    is("a\033[2Jb", 80, "a^[[2Jb", "escapes are shown");
    is("a\rb\bc\a", 80, "a^Mb^Hc^G", "so are returns, backspaces and bells");
    is("a\x7f", 80, "a^?", "and delete");
    is("a\xC2\x9B"
       "2Jb",
       80, "a?2Jb", "and commands in one character");
    is("a\xFF"
       "b",
       80, "a?b", "and what is no character");
}

/* FROM without spaces and ends of lines. */
static void squeeze(char *to, const char *from)
{
    for (; *from; from++)
        if (*from != ' ' && *from != '\n')
            *to++ = *from;
    *to = 0;
}

/* No word that a line has room for is cut, no letter is lost, whatever came in which pieces. */
static void test_chance(void)
{
    static const char *const letters[] = { "a", "b", "c", "\xC3\xA9", ",", "\xE4\xBD\xA0",
                                           " ", " ", "\n" };
    unsigned bad = 0, n_case = 0;
    for (unsigned round = 0; round < 2000; round++) {
        char text[400] = "", squeezed[400] = "", got[400] = "";
        const unsigned cols = 6 + rnd() % 30, n = rnd() % 90;
        for (unsigned i = 0; i < n; i++)
            strcat(text, letters[rnd() % 9]);
        char *one = strdup(wrapped(text, cols, false));
        bool good = !screen.odd[0];
        const char *some = wrapped(text, cols, true);
        good = good && !screen.odd[0] && !strcmp(one, some);
        squeeze(squeezed, text);
        squeeze(got, one);
        good = good && !strcmp(squeezed, got);
        if (!strstr(text, "\xE4"))
            for (char *save = NULL, *word = strtok_r(text, " \n", &save); word;
                 word = strtok_r(NULL, " \n", &save))
                good = good && (mbstowcs(NULL, word, 0) >= cols || strstr(one, word));
        bad += !good;
        n_case++;
        free(one);
    }
    ok(!bad, "%u texts by chance: words whole, nothing lost, pieces do not matter (%u not so)",
       n_case, bad);
}

int main(void)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip_all("there is no locale C.UTF-8");
    test_lines();
    test_wide();
    test_code();
    test_break();
    test_commands();
    test_chance();
    return done();
}
