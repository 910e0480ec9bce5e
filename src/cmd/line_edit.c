/* SPDX-License-Identifier: MIT
 *
 * Owns standard input of a conversation, and all there is of libedit.  A signal ends a line that is
 * being typed: libedit is given characters by us, because it would swallow the interruption.  It
 * draws nothing either, because it loses wide characters at the right edge, marks on letters, and
 * its place when the size of the screen changes: line_draw.c shows what it says the line is,
 * whenever we wait for a character. */
#include "config.h"

#include "src/cmd/line_edit.h"

#include "base/mem.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/line_draw.h"
#include "src/cmd/line_history.h"
#include "src/cmd/wrap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if HAVE_LIBEDIT
#include <histedit.h>
#include <wchar.h>
#endif

#define LINE_MAX_BYTES ((size_t)4 << 20)
#define PASTE_BEGIN    "\033[200~"
#define PASTE_END      "\033[201~"
#define CLEAR          '\f' /* Ctrl-L */

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
    FILE *nowhere; /* where libedit draws */
    struct weir_line_draw draw;
    struct {
        wchar_t *text; /* [n], NULL: not known */
        size_t n, cursor, cap;
    } was;                               /* the line before the last key */
    char given[sizeof(PASTE_BEGIN) - 1]; /* the last characters that libedit got */
    bool pasting, too_long; /* a paste is coming in; it was longer than a line may be */
#endif
};

static bool interrupted(void)
{
    return atomic_load(&weir_interrupted) || atomic_load(&weir_terminated);
}

/* ---- the screen ---- */

#if HAVE_LIBEDIT
static volatile sig_atomic_t resized, stopped, continued;

static void on_screen_signal(int sig)
{
    *(sig == SIGWINCH ? &resized : sig == SIGTSTP ? &stopped : &continued) = 1;
}

/* Signals that are about the screen, while a line is typed. */
static void catch_screen(bool on)
{
    static const int signals[] = { SIGWINCH, SIGTSTP, SIGCONT };
    struct sigaction sa = { .sa_handler = on ? on_screen_signal : SIG_DFL };
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &sa, NULL);
    resized = stopped = continued = 0;
}

static struct weir_line_text line_text(const struct weir_lines *l)
{
    const LineInfoW *now = el_wline(l->edit);
    return (struct weir_line_text){ l->prompt, now->buffer, (size_t)(now->lastchar - now->buffer),
                                    (size_t)(now->cursor - now->buffer) };
}

/* Keys come one by one, and pasted text in brackets. */
static void prepare_terminal(struct weir_lines *l, bool on)
{
    el_set(l->edit, EL_PREP_TERM, (int)on);
    fputs(on ? "\033[?2004h" : "\033[?2004l", l->draw.out);
    fflush(l->draw.out);
}

/* Ctrl-Z: the terminal is the shell's until we go on. */
static void stop(struct weir_lines *l, const sigset_t *mask)
{
    const struct weir_line_text t = line_text(l);
    weir_line_draw_end(&l->draw, &t);
    prepare_terminal(l, false);
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    sigprocmask(SIG_SETMASK, mask, NULL); /* here */
    catch_screen(true);
    continued = 1;
}

/* Do what signals ask for, and show the line as it is now.  MASK: that of the wait. */
static void screen_signals(struct weir_lines *l, const sigset_t *mask)
{
    if (!l->edit)
        return;
    if (stopped) {
        sigset_t hold;
        sigprocmask(SIG_SETMASK, NULL, &hold);
        stop(l, mask);
        sigprocmask(SIG_SETMASK, &hold, NULL);
    }
    const struct weir_line_text t = line_text(l);
    if (continued) { /* the shell had the terminal */
        prepare_terminal(l, false);
        prepare_terminal(l, true);
        l->draw.drawn = false;
        l->draw.cols = 0;
    } else if (resized) {
        weir_line_draw_resized(&l->draw, &t);
    }
    continued = resized = 0;
    if (!l->pasting) /* else all of it again for each piece that comes */
        weir_line_draw(&l->draw, &t);
}
#else
static void screen_signals(struct weir_lines *l, const sigset_t *mask)
{
    (void)l;
    (void)mask;
}
#endif

/* ---- plain ---- */

/* Wait until there is something to read.  Signals come in only while we wait, so that none is lost
 * between the look at the flag and the wait.  0, or -EINTR: the flag is set. */
static int wait_for_input(struct weir_lines *l)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGWINCH, SIGTSTP, SIGCONT };
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    sigset_t hold, before;
    int n = 0;
    sigemptyset(&hold);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&hold, signals[i]);
    sigprocmask(SIG_BLOCK, &hold, &before);
    while (!interrupted() && n <= 0) {
        screen_signals(l, &before);
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
        if (wait_for_input(l) < 0)
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
/* Is a history search going on?  Then what is looked for is a part of the line. */
static bool searching(const struct weir_line_text *t)
{
    size_t i = t->n;
    while (i && t->text[i - 1] != L'\n')
        i--;
    return i && t->n - i >= 4 &&
           (!wmemcmp(t->text + i, L"bck", 3) || !wmemcmp(t->text + i, L"fwd", 3));
}

static size_t whole(const wchar_t *text, size_t n, size_t at, int way)
{
    while (!weir_line_boundary(text, n, at))
        at = way < 0 ? at - 1 : at + 1;
    return at;
}

/* libedit knows code points.  After a key that took a part of a character away, take away the rest
 * of it; after one that moved into a character, move on. */
static void whole_characters(struct weir_lines *l)
{
    struct weir_line_text t = line_text(l);
    const wchar_t *was = l->was.text;
    const size_t n = l->was.n, gone = n > t.n ? n - t.n : 0, from = t.cursor, to = from + gone;
    if (!was || searching(&t))
        return;
    if (gone && to <= n && (l->was.cursor == from || l->was.cursor == to) &&
        !wmemcmp(was, t.text, from) && !wmemcmp(was + to, t.text + from, t.n - from)) {
        const size_t left = from - whole(was, n, from, -1), right = whole(was, n, to, 1) - to;
        el_cursor(l->edit, (int)right);
        el_deletestr(l->edit, (int)(left + right));
    } else if (n == t.n && !weir_line_boundary(t.text, t.n, from)) {
        const size_t at = whole(t.text, t.n, from, from < l->was.cursor ? -1 : 1);
        el_cursor(l->edit, (int)((ptrdiff_t)at - (ptrdiff_t)from));
    }
}

static void remember_line(struct weir_lines *l)
{
    const struct weir_line_text t = line_text(l);
    if (l->was.cap < t.n + 1) {
        wchar_t *p = weir_grow(WEIR_MEM_MISC, l->was.text, 2 * t.n + 64, sizeof(*p));
        if (!p) { /* then code points are characters */
            weir_free(l->was.text);
            l->was.text = NULL;
            l->was.cap = 0;
            return;
        }
        l->was.text = p;
        l->was.cap = 2 * t.n + 64;
    }
    wmemcpy(l->was.text, t.text, t.n);
    l->was.n = t.n;
    l->was.cursor = t.cursor;
}

/* What is pasted, on its way into the line. */
struct paste {
    struct weir_lines *l;
    mbstate_t state;
    wchar_t text[256];
    size_t n, total;
};

static void insert_pasted(struct paste *p)
{
    p->text[p->n] = 0;
    if (p->n && el_winsertstr(p->l->edit, p->text) < 0)
        p->l->too_long = true;
    p->n = 0;
}

static void paste_byte(struct paste *p, char c)
{
    wchar_t wc = 0;
    if (p->l->too_long || ++p->total >= LINE_MAX_BYTES) {
        p->l->too_long = true;
        return;
    }
    const size_t n = mbrtowc(&wc, &c, 1, &p->state);
    if (n == (size_t)-1)
        memset(&p->state, 0, sizeof(p->state));
    /* Nothing that a paste has may be a key.  Carriage returns came as newlines. */
    if (n > 1 || ((wc < 0x20 || wc == 0x7f) && wc != L'\n' && wc != L'\t'))
        return;
    p->text[p->n++] = wc;
    if (p->n == sizeof(p->text) / sizeof(p->text[0]) - 1)
        insert_pasted(p);
}

/* The terminal says that a paste begins: all of it, newlines too, belongs to the line. */
static void take_paste(struct weir_lines *l)
{
    static const char end[] = PASTE_END;
    struct paste p = { .l = l };
    size_t n_end = 0;
    while (end[n_end]) {
        char c = 0;
        const int r = next_byte(p.l, &c);
        if (r == -EINTR && !interrupted())
            continue;
        if (r <= 0)
            return;
        if (c == end[n_end]) {
            n_end++;
            continue;
        }
        for (size_t i = 0; i < n_end; i++)
            paste_byte(&p, end[i]);
        n_end = c == end[0];
        if (!n_end)
            paste_byte(&p, c);
    }
    insert_pasted(&p);
}

/* What a key means to us, after libedit has done nothing with it. */
static void our_keys(struct weir_lines *l)
{
    if (!memcmp(l->given, PASTE_BEGIN, sizeof(l->given))) {
        l->pasting = true;
        take_paste(l);
        l->pasting = false;
    } else if (l->given[sizeof(l->given) - 1] == CLEAR) {
        weir_line_draw_clear(&l->draw);
    } else {
        return;
    }
    memset(l->given, 0, sizeof(l->given));
}

/* One character of the terminal: 1; 0: the end, or a signal. */
static int next_char(EditLine *e, wchar_t *ret)
{
    struct weir_lines *l;
    mbstate_t state = { 0 };
    el_get(e, EL_CLIENTDATA, &l);
    whole_characters(l);
    our_keys(l);
    remember_line(l);
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
        memmove(l->given, l->given + 1, sizeof(l->given) - 1);
        l->given[sizeof(l->given) - 1] = *ret < 0x80 ? (char)*ret : 0;
        return 1;
    }
}

static ssize_t swallow(void *cookie, const char *text, size_t n)
{
    (void)cookie;
    (void)text;
    return (ssize_t)n;
}

static int open_edit(struct weir_lines *l)
{
    const char *term = getenv("TERM");
    HistEvent ev;
    if (!l->tty || !term || !*term || !strcmp(term, "dumb"))
        return 0;
    weir_wrap_locale();
    l->draw.out = isatty(STDOUT_FILENO) ? stdout : stderr;
    l->nowhere = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = swallow });
    if (l->nowhere)
        l->edit = el_init_fd("weir", stdin, l->nowhere, l->nowhere, STDIN_FILENO,
                             fileno(l->draw.out), STDERR_FILENO);
    l->history = history_init();
    if (!l->edit || !l->history)
        return -ENOMEM;
    history(l->history, &ev, H_SETSIZE, WEIR_HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, next_char);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(l->edit, EL_BIND, PASTE_BEGIN, "ed-redisplay", NULL);
    el_set(l->edit, EL_BIND, "^L", "ed-redisplay", NULL);
    return 0;
}

static int read_edited(struct weir_lines *l, const char *prompt, struct weir_err *err)
{
    int n = 0;
    l->prompt = prompt;
    l->draw.cols = 0; /* it may have changed during the answer */
    l->too_long = false;
    l->was.n = l->was.cursor = 0;
    el_resize(l->edit);
    catch_screen(true);
    prepare_terminal(l, true); /* before the prompt: what is typed at it is not lost */
    const char *line = el_gets(l->edit, &n);
    struct weir_line_text t = line_text(l);
    if (t.n && t.text[t.n - 1] == L'\n')
        t.n--;
    weir_line_draw_end(&l->draw, &t);
    prepare_terminal(l, false);
    catch_screen(false);
    if (interrupted())
        return weir_fail(err, -EINTR, "interrupted");
    if (!line || n <= 0)
        return 0;
    fputs("\r\n", l->draw.out);
    if (l->too_long)
        return weir_fail(err, -E2BIG, "a line has more than %zu bytes", LINE_MAX_BYTES);
    if (line[n - 1] == '\n')
        n--;
    for (int i = 0; i < n; i++) {
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
    if (l->nowhere)
        fclose(l->nowhere);
    weir_free(l->was.text);
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
