#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes src/text/unicode.inc: what Python says about each code point, as runs of equal properties.

    python3 tests/gen/unicode_tables.py > src/text/unicode.inc
"""
import sys
import unicodedata

BITS = [  # in the order of enum weir_uni
    lambda c: c.isalpha(),
    lambda c: c.isdecimal(),
    lambda c: c.isdigit(),
    lambda c: c.isnumeric(),
    lambda c: c.isprintable(),
    lambda c: c.islower(),
    lambda c: c.isupper(),
    lambda c: unicodedata.category(c) == "Lt",
    lambda c: c.isidentifier(),
    lambda c: ("a" + c).isidentifier(),
    # Cased: a capital sigma after it is final.  Ignorable: a sigma looks through it.
    lambda c: (c + "\u03a3").lower().endswith("\u03c2"),
    lambda c: ("A" + c + "\u03a3").lower().endswith("\u03c2")
    and not (c + "\u03a3").lower().endswith("\u03c2"),
]
MAX = 0x110000


def table(name, ctype, rows, per_line):
    print(f"static const {ctype} {name}[] = {{")
    for i in range(0, len(rows), per_line):
        print("    " + " ".join(rows[i:i + per_line]))
    print("};")


def is_surrogate(c):
    return 0xD800 <= c < 0xE000


def runs(mapping):
    """(first, last, step, delta) for a mapping of code points to single code points."""
    out = []
    for c in sorted(mapping):
        d = mapping[c] - c
        if out:
            first, last, step, delta = out[-1]
            if delta == d and c - last in (1, 2) and step in (0, c - last):
                out[-1] = (first, c, c - last, d)
                continue
        out.append((c, c, 0, d))
    return [(f, l, s or 1, d) for f, l, s, d in out]


print("/* Made by tests/gen/unicode_tables.py from Unicode", unicodedata.unidata_version, "*/")
rows, last = [], -1
for c in range(MAX):
    m = 0 if is_surrogate(c) else sum(1 << i for i, f in enumerate(BITS) if f(chr(c)))
    if m != last:
        rows.append(f"{{ {c:#x}, {m:#x} }},")
        last = m
table("props", "struct prop", rows, 5)

single = {"lower": {}, "upper": {}, "title": {}, "fold": {}}
many = []
for c in range(MAX):
    if is_surrogate(c):
        continue
    s = chr(c)
    for kind, base, new in (("lower", s, s.lower()), ("upper", s, s.upper()),
                            ("title", s.upper(), s.title()), ("fold", s.lower(), s.casefold())):
        if new == base:
            continue
        if len(new) == 1:
            single[kind][c] = ord(new)
        else:
            cps = ", ".join(f"{ord(x):#x}" for x in new)
            many.append(f"{{ {c:#x}, CASE_{kind.upper()}, {{ {cps} }} }},")
for kind, mapping in single.items():
    table("case_" + kind, "struct run",
          [f"{{ {f:#x}, {l:#x}, {s}, {d} }}," for f, l, s, d in runs(mapping)], 3)
table("case_many", "struct many", many, 2)
