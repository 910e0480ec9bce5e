/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for MindSpore checkpoints.  `make fuzz_mindspore`; corpus to begin with:
 * tests/files/ckpt. */
#define FUZZ_HEAD "\x0a" /* a record; anything else is another format's */
#include "tests/fuzz/fuzz_map.h"
