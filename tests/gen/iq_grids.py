#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the tables of the IQ1, IQ2 and IQ3 weight types, facts of the GGUF format.

The grids are taken from the reference reader (PyPI: gguf, numpy).

    iq_grids.py > kernels/iq_grids.inc
    iq_grids.py packed > kernels/avx512/iq_packed.c
"""

import sys

from gguf import quants

COMMENT = """/* SPDX-License-Identifier: MIT
 *
 * Written by tests/gen/iq_grids.py: %s.  See %s. */
"""
HEAD = COMMENT + """#include "config.h"
#include "%s"
"""

# name, reader, bits of an entry, what is stored of a value
TABLES = [
    ("iq2_xxs", quants.IQ2_XXS, 64, int),
    ("iq2_xs", quants.IQ2_XS, 64, int),
    ("iq2_s", quants.IQ2_S, 64, int),
    ("iq3_xxs", quants.IQ3_XXS, 32, int),
    ("iq3_s", quants.IQ3_S, 32, int),
    ("iq1", quants.IQ1_S, 64, lambda v: 8 * int(v) + 8),
]


# How a table begins: what it is in memory, the one who includes a .inc says.
ARRAY = "const uint{bits}_t {name}[{n}] = {{"
GRID = "WEIR_GRID(uint{bits}_t, {name}, {n}) = {{"


def table(begin, name, bits, values):
    print("\n" + begin.format(bits=bits, name=name, n=len(values)))
    per_line = {64: 4, 32: 8, 16: 8, 8: 16}[bits]
    for i in range(0, len(values), per_line):
        print("    " + " ".join(f"0x{v:0{bits // 4}x}," for v in values[i:i + per_line]))
    print("};")


# name, reader, bits of a value.  Entries once more, a word of 16 bits each: two (three) bits for each of
# eight (four) values, which of the levels it is.  Values 0, 2, 4 .. are in the low byte, the others in
# the high byte, so that one shift of the word puts two of them in place.
PACKED = [("iq2_xxs", quants.IQ2_XXS, 2), ("iq3_xxs", quants.IQ3_XXS, 3), ("iq3_s", quants.IQ3_S, 3)]


def levels(rows):
    return sorted({int(v) for row in rows for v in row})


def packed(level, row, bits):
    return sum(level.index(int(v)) << (8 * (i % 2) + bits * (i // 2)) for i, v in enumerate(row))


def rows_of(reader):
    reader.init_grid()
    return reader.grid.reshape(reader.grid_shape)


def write_grids():
    print(COMMENT % ("what the IQ types of GGUF look up", "kernels/iq_grids.h"), end="")
    for name, reader, bits, stored in TABLES:
        rows = rows_of(reader)
        table(GRID, f"weir_grid_{name}", bits,
              [sum(stored(v) << 8 * i for i, v in enumerate(row)) for row in rows])
    table(GRID, "weir_grid_signs", 8, [s | bin(s).count("1") % 2 << 7 for s in range(128)])


def write_packed():
    print(HEAD % ("grids as words", *["kernels/avx512/iq_packed.h"] * 2), end="")
    for name, reader, bits in PACKED:
        rows = rows_of(reader)
        level = levels(rows)
        table(ARRAY, f"weir_packed_{name}", 16, [packed(level, row, bits) for row in rows])
        table(ARRAY, f"weir_levels_{name}", 8, level + [0] * (8 - len(level)))


if sys.argv[1:] == ["packed"]:
    write_packed()
else:
    write_grids()
