#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write kernels/iq_grids.c: the tables of the IQ1, IQ2 and IQ3 weight types, facts of the GGUF format.

The grids are taken from the reference reader (PyPI: gguf, numpy).

    iq_grids.py > kernels/iq_grids.c
"""

from gguf import quants

HEAD = """/* SPDX-License-Identifier: MIT
 *
 * Written by tests/gen/iq_grids.py: what the IQ types of GGUF look up.  See kernels/iq_grids.h. */
#include "config.h"
#include "kernels/iq_grids.h"
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


def table(name, bits, values):
    print(f"\nconst uint{bits}_t weir_grid_{name}[{len(values)}] = {{")
    per_line = 4 if bits == 64 else 8 if bits == 32 else 16
    for i in range(0, len(values), per_line):
        print("    " + " ".join(f"0x{v:0{bits // 4}x}," for v in values[i:i + per_line]))
    print("};")


print(HEAD, end="")
for name, reader, bits, stored in TABLES:
    reader.init_grid()
    rows = reader.grid.reshape(reader.grid_shape)
    table(name, bits, [sum(stored(v) << 8 * i for i, v in enumerate(row)) for row in rows])
table("signs", 8, [s | bin(s).count("1") % 2 << 7 for s in range(128)])
