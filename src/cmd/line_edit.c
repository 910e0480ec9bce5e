/* SPDX-License-Identifier: MIT
 *
 * Owns standard input of a conversation, and all there is of libedit.  A signal ends a line that is
 * being typed: libedit is given characters by us, because it would swallow the interruption. */
#include "config.h"

#include "src/cmd/line_edit.h"

#include "base/mem.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/line_history.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if HAVE_LIBEDIT
#include <histedit.h>
#include <locale.h>
#include <wchar.h>
#endif

#define LINE_MAX_BYTES ((size_t)4 << 20)

struct weir_lines {
    bool tty;
    char *line;
    size_t n, cap;
    char in[4096]; /* read and not used yet: [in_at, in_n) */
    size_t in_at, in_n;
#if HAVE_LIBEDIT
    EditLine *edit; /* NULL: plain */
    History *history;
    bool keep; /* in a file, too */
    const char *prompt;
#endif
};

static bool interrupted(void)
{
    return atomic_load(&weir_interrupted) || atomic_load(&weir_terminated);
}

/* ---- plain ---- */

/* Wait until there is something to read.  Signals come in only while we wait, so that none is lost
 * between the look at the flag and the wait.  0, or -EINTR: the flag is set. */
static int wait_for_input(void)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    sigset_t hold, before;
    int n = 0;
    sigemptyset(&hold);
    sigaddset(&hold, SIGINT);
    sigaddset(&hold, SIGTERM);
    sigprocmask(SIG_BLOCK, &hold, &before);
    while (!interrupted() && n <= 0) {
        n = ppoll(&p, 1, NULL, &before);
        if (n < 0 && errno != EINTR)
            break; /* read knows better what is wrong */
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return interrupted() ? -EINTR : 0;
}

/* 1 with a byte, 0 at the end, or -errno. */
static int next_byte(struct weir_lines *l, char *ret)
{
    if (l->in_at == l->in_n) {
        if (wait_for_input() < 0)
            return -EINTR;
        const ssize_t n = read(STDIN_FILENO, l->in, sizeof(l->in));
        if (n < 0)
            return -errno;
        l->in_at = 0;
        l->in_n = (size_t)n;
        if (!n)
            return 0;
    }
    *ret = l->in[l->in_at++];
    return 1;
}

static int room(struct weir_lines *l, struct weir_err *err)
{
    if (l->n < l->cap)
        return 0;
    if (l->cap >= LINE_MAX_BYTES)
        return weir_fail(err, -E2BIG, "a line has more than %zu bytes", LINE_MAX_BYTES);
    const size_t cap = l->cap ? 2 * l->cap : 256;
    char *p = weir_grow(WEIR_MEM_MISC, l->line, cap, 1);
    if (!p)
        return weir_fail(err, -ENOMEM, "no memory for a line of %zu bytes", cap);
    l->line = p;
    l->cap = cap;
    return 0;
}

static int read_plain(struct weir_lines *l, const char *prompt, struct weir_err *err)
{
    if (l->tty) {
        fputs(prompt, stderr);
        fflush(stderr);
    }
    for (;;) {
        char c = 0;
        int r = room(l, err);
        if (r < 0)
            return r;
        r = next_byte(l, &c);
        if (r == -EINTR && !interrupted())
            continue;
        if (r < 0)
            return weir_fail(err, r, "cannot read standard input: %s", strerror(-r));
        if (r == 0 || c == '\n') {
            l->line[l->n] = 0;
            return r == 1 || l->n; /* a last line without a newline is one */
        }
        l->line[l->n++] = c;
    }
}

/* ---- libedit ---- */

#if HAVE_LIBEDIT
static char *show_prompt(EditLine *e)
{
    struct weir_lines *l;
    el_get(e, EL_CLIENTDATA, &l);
    return (char *)(uintptr_t)l->prompt; /* libedit does not write to it */
}

/* One character of the terminal: 1; 0: the end, or a signal. */
static int next_char(EditLine *e, wchar_t *ret)
{
    struct weir_lines *l;
    mbstate_t state = { 0 };
    el_get(e, EL_CLIENTDATA, &l);
    for (;;) {
        char c = 0;
        const int r = next_byte(l, &c);
        if (r == -EINTR && !interrupted())
            continue;
        if (r <= 0)
            return 0;
        const size_t n = mbrtowc(ret, &c, 1, &state);
        if (n == (size_t)-2)
            continue;
        if (n == (size_t)-1) { /* not of this locale */
            memset(&state, 0, sizeof(state));
            continue;
        }
        return 1;
    }
}

static int open_edit(struct weir_lines *l)
{
    const char *term = getenv("TERM");
    HistEvent ev;
    if (!l->tty || !term || !*term || !strcmp(term, "dumb"))
        return 0;
    /* Only the kind of characters: numbers stay as programs write them. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    l->edit = el_init("weir", stdin, isatty(STDOUT_FILENO) ? stdout : stderr, stderr);
    l->history = history_init();
    if (!l->edit || !l->history)
        return -ENOMEM;
    history(l->history, &ev, H_SETSIZE, WEIR_HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, show_prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, next_char);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return 0;
}

static int read_edited(struct weir_lines *l, const char *prompt, struct weir_err *err)
{
    int n = 0;
    l->prompt = prompt;
    el_resize(l->edit);               /* it may have changed during the answer */
    el_set(l->edit, EL_PREP_TERM, 1); /* before the prompt: what is typed at it is not lost */
    const char *line = el_gets(l->edit, &n);
    if (interrupted())
        return weir_fail(err, -EINTR, "interrupted");
    if (!line || n <= 0)
        return 0;
    for (int i = 0; i < n && line[i] != '\n'; i++) {
        const int r = room(l, err);
        if (r < 0)
            return r;
        l->line[l->n++] = line[i];
    }
    const int r = room(l, err);
    if (r == 0)
        l->line[l->n] = 0;
    return r < 0 ? r : 1;
}

void weir_lines_remember(struct weir_lines *l, const char *text)
{
    HistEvent ev;
    if (!l->history || !*text)
        return;
    const bool again = !history(l->history, &ev, H_FIRST) && !strcmp(ev.str, text);
    if (l->keep && !again && weir_history_add(text, NULL) < 0)
        l->keep = false;
    history(l->history, &ev, H_ENTER, text);
}

static void bring_back(void *arg, const char *text)
{
    struct weir_lines *l = arg;
    HistEvent ev;
    history(l->history, &ev, H_ENTER, text);
}

int weir_lines_keep(struct weir_lines *l, struct weir_err *err)
{
    const int r = l->history ? weir_history_load(bring_back, l, err) : 0;
    l->keep = r == 0;
    return r;
}
#else
int weir_lines_keep(struct weir_lines *l, struct weir_err *err)
{
    (void)l;
    (void)err;
    return 0;
}

void weir_lines_remember(struct weir_lines *l, const char *text)
{
    (void)l;
    (void)text;
}
#endif

/* ---- both ---- */

int weir_lines_new(bool tty, struct weir_lines **ret, struct weir_err *err)
{
    struct weir_lines *l = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*l));
    int r = l ? 0 : -ENOMEM;
    if (l)
        l->tty = tty;
#if HAVE_LIBEDIT
    if (r == 0)
        r = open_edit(l);
#endif
    if (r < 0) {
        weir_lines_free(l);
        return weir_fail(err, r, "no memory to read lines");
    }
    *ret = l;
    return 0;
}

void weir_lines_free(struct weir_lines *l)
{
    if (!l)
        return;
#if HAVE_LIBEDIT
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
#endif
    weir_free(l->line);
    weir_free(l);
}

int weir_lines_read(struct weir_lines *l, const char *prompt, const char **ret, size_t *ret_n,
                    struct weir_err *err)
{
    l->n = 0;
#if HAVE_LIBEDIT
    const int r = l->edit ? read_edited(l, prompt, err) : read_plain(l, prompt, err);
#else
    const int r = read_plain(l, prompt, err);
#endif
    if (r == 1) {
        *ret = l->line;
        *ret_n = l->n;
    }
    return r;
}
