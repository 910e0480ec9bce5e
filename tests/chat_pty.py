#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`weir chat` on a pseudo-terminal: typing, Ctrl-C, Ctrl-D.  Prints a line for each thing that was
looked at, "ok WHAT" or "not WHAT".  77: there are no pseudo-terminals.

    chat_pty.py WEIR MODEL SLOW

SLOW is a model of many layers.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata

WAIT = 60  # seconds, for a machine that is very busy


class Screen:
    """What a terminal shows after BYTES: as much of one as line editing needs."""

    def __init__(self, cols, rows):
        self.cols, self.rows = cols, rows
        self.lines = [[]]  # of cells: a string of a character and its marks, "" right of a wide one
        self.y = self.x = 0
        self.strange = ""

    def put(self, c):
        line = self.lines[self.y]
        wide = 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if unicodedata.combining(c) or c in "\u200d\ufe0f":
            at = self.x - 1
            while at > 0 and not line[at]:
                at -= 1
            line[at] += c
            return
        if self.x + wide > self.cols:
            self.y, self.x = self.y + 1, 0
            self.grow()
            line = self.lines[self.y]
        line.extend(" " * (self.x + wide - len(line)))
        line[self.x:self.x + wide] = [c] + [""] * (wide - 1)
        self.x += wide

    def grow(self):
        while self.y >= len(self.lines):
            self.lines.append([])

    def feed(self, data):
        text = data.decode("utf-8", "replace")
        for part in re.findall(r"\x1b\[\??[0-9;]*.|[^\x1b]|\x1b", text, re.S):
            if part == "\r":
                self.x = 0
            elif part == "\n":
                self.y += 1
                self.grow()
            elif part == "\x1b[J":
                del self.lines[self.y + 1:]
                del self.lines[self.y][self.x:]
            elif part == "\x1b[K":
                del self.lines[self.y][self.x:]
            elif part == "\x1b[H\x1b[2J":
                pass
            elif re.match(r"\x1b\[\d+A", part):
                self.y -= min(int(part[2:-1]), self.y, self.rows - 1)
            elif part[0] != "\x1b":
                self.put(part)
            elif not part.endswith(("m", "h", "l")):
                self.strange += part

    def last(self, n):
        """The last N lines, and where the cursor is in them."""
        return (["".join(l).rstrip() for l in self.lines[-n:]], self.y - len(self.lines) + n, min(self.x, self.cols))


class Chat:
    def __init__(self, *args, size=None, **env):
        self.seen = b""
        self.all = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **env})
            if size:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execv(args[0], args)

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.seen += data
        self.all += data
        return bool(data)

    def shows(self, screen, lines, y, x):
        """Wait until SCREEN, fed with what came, ends with LINES and has the cursor there."""
        end = time.monotonic() + WAIT
        while True:
            screen.feed(self.all)
            self.all = b""
            if screen.last(len(lines)) == (lines, y, x) and not screen.strange:
                return True
            if time.monotonic() > end or not self.read(2):
                print("# shows", screen.last(len(lines)), screen.strange, "and not", (lines, y, x))
                return False

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
        """Wait for the beginning of an answer, which is behind all lines of progress."""
        end = time.monotonic() + WAIT
        progress = rb"\r[^\r\n]*(\x1b\[K|$)"
        while not re.sub(progress, b"", self.seen).strip() and time.monotonic() < end:
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


def libedit(weir):
    config = os.path.join(os.path.dirname(weir) or ".", "config.h")
    return "define HAVE_LIBEDIT 1" in open(config).read()


def editing(weir, model):
    """What the screen shows while a line is typed: wide characters, marks, rows, pastes."""
    if not libedit(weir):
        return
    c = Chat(weir, "chat", model, "--temp", "0", "--ignore-eos", "-n", "4", "--no-history", size=(5, 20))
    s = Screen(20, 5)
    left, right, home, end, rubout = b"\x1b[D", b"\x1b[C", b"\x01", b"\x05", b"\x7f"

    def sees(what, keys, lines, y, x):
        c.type(keys.encode() if isinstance(keys, str) else keys)
        look("editing: " + what, c.shows(s, lines, y, x))

    c.until(b"> ")
    sees("wide characters", "a漢字😀b", ["> a漢字😀b"], 0, 10)
    sees("the cursor goes over them", left * 2, ["> a漢字😀b"], 0, 7)
    sees("as rubbing out does", rubout, ["> a漢😀b"], 0, 5)
    c.type(b"\x15\x0b")
    sees("a letter with a mark is one", "xe\u0301e\u0301y", ["> xe\u0301e\u0301y"], 0, 6)
    sees("for the cursor", left * 2, ["> xe\u0301e\u0301y"], 0, 4)
    sees("for rubbing out", rubout, ["> xe\u0301y"], 0, 3)
    sees("for Delete", b"\x04", ["> xy"], 0, 3)
    c.type(end + b"\x15")
    sees("a family and a flag", "👩\u200d👧🇩🇪.", ["> 👩\u200d👧🇩🇪."], 0, 9)
    sees("are one each", left * 2 + rubout, ["> 🇩🇪."], 0, 2)
    c.type(end + b"\x15")
    text = "漢" * 9 + "bc"
    sees("a row ends at the edge", text, ["> " + "漢" * 9, "bc"], 1, 2)
    sees("one more in front, and all of it moves", home + b"x", ["> x" + "漢" * 8, "漢bc"], 0, 3)
    sees("the end is where it was", end, ["> x" + "漢" * 8, "漢bc"], 1, 4)
    sees("and gone when rubbed out", rubout * 3, ["> x" + "漢" * 8], 0, 19)
    c.type(b"\x15")
    sees("of more rows than there are, those around the cursor", "0123456789" * 12,
         [("> " + "0123456789" * 12)[i:i + 20] for i in range(40, 122, 20)], 4, 2)
    sees("also the first", home, [("> " + "0123456789" * 12)[i:i + 20] for i in range(0, 100, 20)], 0, 2)
    c.type(end + b"\x15")
    sees("a paste is one line, its newlines too", "\x1b[200~one\rtwo\x07\x1b[A\r/three\x1b[201~",
         ["> one", "two[A", "/three"], 2, 6)
    c.seen = b""
    c.type(b"\n")
    c.until(b"weir: 4 tokens")
    look("editing: and one message", b"weir: 4 tokens" not in c.until(b"> "))
    c.type(b"/save " + os.fsencode(os.path.join(os.environ["XDG_STATE_HOME"], "pasted.json")) + b"\n")
    c.until(b"messages are in")
    c.until(b"> ")
    saved = open(os.path.join(os.environ["XDG_STATE_HOME"], "pasted.json")).read()
    look("editing: of all its lines", '"one\\ntwo[A\\n/three"' in saved)
    # The screen changes its size, and the program is stopped and goes on, while something is typed.
    c.all = b""
    s = Screen(20, 5)
    s.put(">")
    s.x = 2
    c.type(b"abcdefghijklmnopqrst")
    c.shows(s, ["> abcdefghijklmnopqr", "st"], 1, 2)
    fcntl.ioctl(c.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 40, 0, 0))
    s.cols = 40
    sees("a wider screen", b"u", ["> abcdefghijklmnopqrstu"], 0, 23)
    c.type(b"\x15/quit\n")
    look("editing: it ends", c.status() == 0)
    c = Chat("/bin/sh", "-mc", '"$0" "$@"; stty -a; echo stopped; fg', weir, "chat", model, "--no-history", "-q")
    c.until(b"> ")
    c.type("abc漢".encode())
    c.until("漢".encode())
    c.type(b"\x1a")
    modes = c.until(b"stopped")
    look("editing: Ctrl-Z gives the terminal back", b" icanon" in modes and b" echo " in modes)
    c.type(b"d")
    look("editing: and fg goes on with the line", bool(c.until("> abc漢d".encode())))
    c.type(b"\x15/quit\n")
    look("editing: it ends", c.status() == 0)


def history(weir, model):
    """What was typed in one run, in the next."""
    state = os.environ["XDG_STATE_HOME"]
    path = os.path.join(state, "weir", "history")
    if not os.path.exists(path) and not libedit(weir):
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


def waiting(weir, slow):
    """A prompt that is read in one pass shows how far it is, also where there is little room."""
    for cols in (100, 20):
        c = Chat(weir, "run", slow, "--threads", "1", "-p", "word " * 40, "-n", "1", size=(24, cols), WEIR_CPU="scalar")
        c.status()
        shown = re.findall(rb"\r(reading the prompt[^\x1b]*)", c.all)
        if cols == 100:
            look("the wait for a prompt has a rate and an end", any(
                re.search(rb" [1-9]\d? % \([1-9]\d* of \d+ tokens, [\d.]+/s, \d+ s left\)", line) for line in shown))
        else:
            look("in a narrow window it stays on its row", shown and all(len(line) < cols for line in shown))


def main():
    weir, model, slow = sys.argv[1:]
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
    editing(weir, model)
    waiting(weir, slow)
    return 0


if __name__ == "__main__":
    sys.exit(main())
