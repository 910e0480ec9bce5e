/* SPDX-License-Identifier: MIT
 * Owns what a conversation looks like.  One thread. */
#include "config.h"

#include "src/cmd/chat_show.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIM   "\033[2m"
#define PLAIN "\033[0m"

void weir_chat_show_init(struct weir_chat_show *s, bool hide, bool quiet)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    const bool color = term && *term && strcmp(term, "dumb") && !(no_color && *no_color);
    *s = (struct weir_chat_show){ .hide = hide, .quiet = quiet };
    s->out_tty = isatty(STDOUT_FILENO);
    s->err_tty = isatty(STDERR_FILENO);
    s->out_dim = color && s->out_tty;
    s->err_dim = color && s->err_tty;
    if (s->out_tty || s->err_tty)
        weir_wrap_locale();
}

void weir_chat_show_done(struct weir_chat_show *s)
{
    weir_free(s->answer.p);
    weir_free(s->thought.p);
    *s = (struct weir_chat_show){ 0 };
}

void weir_chat_show_begin(struct weir_chat_show *s, int begun)
{
    s->answer.n = s->thought.n = 0;
    s->dimmed = false;
    s->wrap = (struct weir_wrap){ 0 };
    weir_think_init(&s->think, begun);
}

int weir_chat_text_put(struct weir_chat_text *t, const char *text, size_t n)
{
    if (weir_reserve(WEIR_MEM_TEXT, &t->p, &t->cap, t->n + n + 1, 1))
        return -ENOMEM;
    memcpy(t->p + t->n, text, n);
    t->n += n;
    t->p[t->n] = 0;
    return 0;
}

/* A terminal gets lines of whole words, and none of what would command it. */
static int put(struct weir_chat_show *s, FILE *f, const char *text, size_t n)
{
    if (f == stdout ? s->out_tty : s->err_tty) {
        s->wrap.cols = weir_wrap_cols(f);
        return weir_wrap_put(&s->wrap, f, text, n);
    }
    errno = 0;
    if (fwrite(text, 1, n, f) == n)
        return 0;
    return errno ? -errno : -EIO;
}

static FILE *thought_stream(const struct weir_chat_show *s) { return s->out_tty ? stdout : stderr; }

/* Between thought and answer, and at the end of a thought. */
static void leave_thought(struct weir_chat_show *s)
{
    FILE *f = thought_stream(s);
    if (!s->dimmed)
        return;
    if (s->thought.n && s->thought.p[s->thought.n - 1] != '\n')
        fputc('\n', f);
    if (!(s->out_tty ? s->out_dim : s->err_dim))
        fputs("(end of thought)\n", f);
    else
        fputs(PLAIN "\n", f);
    s->wrap = (struct weir_wrap){ 0 };
    s->dimmed = false;
}

static int on_part(void *arg, bool thought, const char *text, size_t n)
{
    struct weir_chat_show *s = arg;
    FILE *f = thought ? thought_stream(s) : stdout;
    int r = weir_chat_text_put(thought ? &s->thought : &s->answer, text, n);
    if (r < 0 || (thought && (s->hide || (!s->out_tty && s->quiet))))
        return r;
    if (thought && !s->dimmed) {
        fputs((s->out_tty ? s->out_dim : s->err_dim) ? DIM : "(thought)\n", f);
        s->dimmed = true;
    }
    if (!thought)
        leave_thought(s);
    r = put(s, f, text, n);
    if (r == 0 && fflush(f))
        r = errno ? -errno : -EIO;
    return r;
}

int weir_chat_show_text(struct weir_chat_show *s, const char *text, size_t n)
{
    return weir_think_push(&s->think, text, n, on_part, s);
}

void weir_chat_show_break(struct weir_chat_show *s)
{
    FILE *f = s->out_tty ? stdout : stderr;
    weir_wrap_break(&s->wrap, f);
    fflush(f);
}

int weir_chat_show_end(struct weir_chat_show *s)
{
    int r = weir_think_flush(&s->think, on_part, s);
    leave_thought(s);
    if (r == 0 && !(s->answer.n && s->answer.p[s->answer.n - 1] == '\n'))
        r = put(s, stdout, "\n", 1);
    if (r == 0 && fflush(stdout))
        r = errno ? -errno : -EIO;
    return r;
}

void weir_chat_note(const struct weir_chat_show *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (s->err_dim)
        fputs(DIM, stderr);
    vfprintf(stderr, fmt, ap);
    fputs(s->err_dim ? PLAIN "\n" : "\n", stderr);
    va_end(ap);
}
