/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for llama2.c's files.  `make fuzz_llama2c`; corpus to begin with: the .bin files
 * of tests/files/meta. */
#define FUZZ_HEAD "\x32" /* the magic number's first byte, or 50 and the like for the width */
#include "tests/fuzz/fuzz_map.h"
