/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for the indexes of MLC-LLM.  `make fuzz_mlc`; corpus to begin with:
 * tests/files/mlc (the folder that is current when it starts must hold its a.bin and b.bin). */
#define FUZZ_HEAD "{"
#define FUZZ_BESIDE
#include "tests/fuzz/fuzz_map.h"
