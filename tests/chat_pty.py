#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`weir chat` on a pseudo-terminal: typing, Ctrl-C, Ctrl-D.  Prints a line for each thing that was
looked at, "ok WHAT" or "not WHAT".  77: there are no pseudo-terminals.

    chat_pty.py WEIR MODEL
"""

import os
import pty
import select
import signal
import sys
import time

WAIT = 60  # seconds, for a machine that is very busy


class Chat:
    def __init__(self, *args, **env):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "NO_COLOR": "1", **env})
            os.execv(args[0], args)

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.seen += data
        return bool(data)

    def until(self, words):
        """Read until WORDS come that were not seen before; what came."""
        end = time.monotonic() + WAIT
        while words not in self.seen:
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                raise TimeoutError("%r did not come; there is: %r" % (words, self.seen))
        at = self.seen.index(words) + len(words)
        got, self.seen = self.seen[:at], self.seen[at:]
        return got

    def some(self):
        """Wait for the beginning of an answer."""
        end = time.monotonic() + WAIT
        while not self.seen.strip() and time.monotonic() < end:
            self.read(0.5)

    def type(self, text):
        try:
            os.write(self.fd, text)
        except OSError:
            pass  # it has ended

    def status(self, key=b""):
        """Type KEY until the program ends: what comes while the terminal changes its mode is lost.
        The exit status."""
        start = time.monotonic()
        typed = 0
        while time.monotonic() < start + WAIT:
            if key and time.monotonic() > start + typed:
                self.type(key)
                typed += 1
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if not self.read(0.05):
                time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise TimeoutError("it does not end; there is: %r" % self.seen)


def look(what, good):
    print("ok" if good else "not", what, flush=True)


def session(weir, model, term):
    args = (weir, "chat", model, "--temp", "0", "--ignore-eos", "-c", "4096",
            "--rope-scaling", "none")
    c = Chat(*args, TERM=term)
    c.until(b"> ")
    c.type(b"hello\n")
    c.until(b"\n")
    c.some()
    c.type(b"\x03")
    look("Ctrl-C ends the answer (%s)" % term, b"tok/s" in c.until(b"; interrupted"))
    c.until(b"> ")
    c.type(b"/reset\n")
    c.until(b"> ")
    c.type(b"/stats\n")
    look("and not the program (%s)" % term, b"0 messages" in c.until(b"peak RAM"))
    c.until(b"> ")
    c.type(b"one\\\n")
    c.until(b". ")
    c.type(b"/nothing")
    c.type(b"\x03")
    look("Ctrl-C at the prompt drops the message (%s)" % term, bool(c.until(b"again, or Ctrl-D")))
    c.until(b"> ")
    c.type(b"\x03")
    look("twice ends with status 130 (%s)" % term, c.status() == 130)
    c = Chat(*args, TERM=term)
    c.until(b"> ")
    look("Ctrl-D ends with status 0 (%s)" % term, c.status(b"\x04") == 0)


def history(weir, model):
    """What was typed in one run, in the next."""
    state = os.environ["XDG_STATE_HOME"]
    path = os.path.join(state, "weir", "history")
    config = os.path.join(os.path.dirname(weir) or ".", "config.h")
    if not os.path.exists(path) and "define HAVE_LIBEDIT 1" not in open(config).read():
        return  # no editing, no history
    args = (weir, "chat", model, "--temp", "0", "--ignore-eos", "-n", "4")

    def talk(*more, say=b"/stats\n", key=b"/quit\n"):
        c = Chat(*args, *more, TERM="xterm")
        c.until(b"> ")
        c.type(say)
        got = c.until(b"> ")
        c.type(key)
        c.status()
        return got

    lines = open(path, "rb").read().split(b"\n")
    look("history: what was typed, a line each", b"hello" in lines and b"/quit" in lines and lines[-1] == b"")
    look("history: for the user's eyes only", os.stat(path).st_mode & 0o777 == 0o600 and
         os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700)
    talk(say=b"/params\n")
    talk(say=b"\x1b[A\x1b[A\n")
    look("history: an arrow brings back what another run was told",
         open(path, "rb").read().count(b"/params\n") == 2)
    before = open(path, "rb").read()
    talk("--no-history")
    look("--no-history keeps nothing", open(path, "rb").read() == before)
    with open(path, "wb") as f:
        f.write(b"\x1b[31mred\n" + b"a line of words\n" * 40000)
    os.chmod(path, 0o644)
    talk()
    kept = open(path, "rb").read()
    look("history: an old one is cut, and closed to others",
         len(kept) < 500 * 20 and kept.endswith(b"/quit\n") and os.stat(path).st_mode & 0o777 == 0o600)
    os.remove(path)
    victim = os.path.join(state, "victim")
    open(victim, "w").close()
    os.symlink(victim, path)
    c = Chat(*args, TERM="xterm")
    look("history: a link is not followed, and that is said", b"not kept" in c.until(b"> "))
    c.type(b"/quit\n")
    c.status()
    look("history: nor written through", os.path.getsize(victim) == 0)
    os.remove(path)
    os.mkfifo(path)
    c = Chat(*args, TERM="xterm")
    look("history: a pipe in its place is no reason to wait", b"not kept" in c.until(b"> "))
    c.type(b"/quit\n")
    c.status()


def main():
    weir, model = sys.argv[1:]
    try:
        os.close(os.openpty()[0])
    except OSError:
        return 77
    for term in ("xterm", "dumb"):
        session(weir, model, term)
    c = Chat(weir, "chat", model, "--temp", "0", "--ignore-eos", "-n", "4", NO_COLOR="")
    c.until(b"> ")
    c.type(b"hello\n")
    got = c.until(b"> ")
    look("the line after an answer is dimmed", b"\x1b[2mweir: 4 tokens" in got)
    c.type(b"/quit\n")
    look("/quit ends with status 0", c.status() == 0)
    history(weir, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
