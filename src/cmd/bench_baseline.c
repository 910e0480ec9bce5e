/* SPDX-License-Identifier: MIT
 * Owns the other program's process, and the reading of its figure.  Engine thread. */
#include "config.h"

#include "src/cmd/bench_baseline.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAIL_BYTES 65536u /* of its output: figures stand at the end */
#define POLL_MS    50
#define GRACE_NS   UINT64_C(2000000000)

/* The number that ends right before P (blanks between), not reaching back before START; or 0. */
static double number_before(const char *start, const char *p)
{
    while (p > start && p[-1] == ' ')
        p--;
    const char *from = p;
    while (from > start && (isdigit((unsigned char)from[-1]) || from[-1] == '.'))
        from--;
    if (from == p || (from > start && isalpha((unsigned char)from[-1])))
        return 0;
    char *end;
    const double v = strtod(from, &end);
    return end == p && v > 0 && v < 1e9 ? v : 0;
}

double weir_baseline_figure(const char *text)
{
    static const char *const units[] = { "tok/s", "t/s", "tokens per second", "tokens/s",
                                         "\xc2\xb1" };
    double last = 0;
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n\r");
        const char *end = line + n, *at_last = NULL;
        const char *prompt = strstr(line, "prompt eval");
        for (size_t u = 0; u < sizeof(units) / sizeof(units[0]) && !(prompt && prompt < end); u++)
            for (const char *p = line; (p = strstr(p, units[u])) && p < end; p++) {
                const double v = number_before(line, p);
                if (v > 0 && (!at_last || p > at_last)) {
                    last = v;
                    at_last = p;
                }
            }
        line = *end ? end + 1 : end;
    }
    return last;
}

static int start(const char *command, pid_t *ret_pid, int *ret_fd, struct weir_err *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return weir_fail(err, -errno, "cannot make a pipe: %s", strerror(errno));
    const pid_t pid = fork();
    if (pid < 0) {
        const int r = weir_fail(err, -errno, "cannot start a process: %s", strerror(errno));
        close(fds[0]);
        close(fds[1]);
        return r;
    }
    if (pid == 0) {
        setpgid(0, 0); /* so that all it starts can be ended together */
        const int null = open("/dev/null", O_RDONLY);
        if (null >= 0)
            dup2(null, STDIN_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    setpgid(pid, pid); /* whoever of the two comes first */
    close(fds[1]);
    *ret_pid = pid;
    *ret_fd = fds[0];
    return 0;
}

/* Keep the last TAIL_BYTES of what comes.  False at the end of it. */
static bool take(int fd, char *tail, size_t *n)
{
    char part[4096];
    const ssize_t got = read(fd, part, sizeof(part));
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    if (got == 0)
        return false;
    if (*n + (size_t)got > TAIL_BYTES) {
        const size_t drop = *n + (size_t)got - TAIL_BYTES;
        memmove(tail, tail + drop, *n - drop);
        *n -= drop;
    }
    for (ssize_t i = 0; i < got; i++) /* a string at the end, whatever it printed */
        tail[(*n)++] = part[i] ? part[i] : ' ';
    return true;
}

static void last_line(char *tail, size_t n, char *buf, size_t bytes)
{
    while (n && (tail[n - 1] == '\n' || tail[n - 1] == '\r' || tail[n - 1] == ' '))
        n--;
    tail[n] = 0;
    const char *nl = strrchr(tail, '\n');
    const char *from = nl ? nl + 1 : tail;
    const size_t len = strlen(from);
    const size_t keep = len < bytes - 1 ? len : bytes - 1;
    memcpy(buf, from, keep);
    buf[keep] = 0;
}

int weir_baseline_run(const char *command, const atomic_int *interrupted,
                      struct weir_baseline_run *ret, struct weir_err *err)
{
    static char tail[TAIL_BYTES + 1];
    char line[200];
    size_t n = 0;
    pid_t pid = -1;
    int fd = -1, status = 0;
    bool open = true;
    uint64_t told_ns = 0;
    const uint64_t t0 = weir_now_ns();
    const int r = start(command, &pid, &fd, err);
    if (r < 0)
        return r;
    /* What it leaves running in the background may hold the pipe: the process itself is the end. */
    for (;;) {
        struct pollfd p = { .fd = open ? fd : -1, .events = POLLIN };
        if (poll(&p, 1, open ? POLL_MS : 1) > 0 && p.revents)
            open = take(fd, tail, &n);
        else if (waitpid(pid, &status, WNOHANG) == pid)
            break;
        if (!open && waitpid(pid, &status, WNOHANG) == pid)
            break;
        if (atomic_load(interrupted)) {
            const uint64_t now = weir_now_ns();
            if (!told_ns) {
                kill(-pid, SIGTERM);
                told_ns = now;
            } else if (now - told_ns > GRACE_NS) {
                kill(-pid, SIGKILL);
            }
        }
    }
    *ret = (struct weir_baseline_run){ .seconds = (double)(weir_now_ns() - t0) / 1e9 };
    close(fd);
    tail[n] = 0;
    if (atomic_load(interrupted)) {
        kill(-pid, SIGKILL); /* what sh has started and SIGTERM did not end */
        return weir_fail(err, -EINTR, "interrupted");
    }
    ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ret->tok_per_s = weir_baseline_figure(tail);
    if (!ret->status)
        return 0;
    last_line(tail, n, line, sizeof(line));
    return weir_fail(err, -ECHILD, "status %d%s%s", ret->status, line[0] ? ": " : "", line);
}
