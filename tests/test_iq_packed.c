/* SPDX-License-Identifier: MIT
 *
 * The packed grids of AVX-512 hold the entries of kernels/iq_grids.h.  They are data, so this needs
 * no CPU that has the instructions. */
#include "config.h"
#include "kernels/iq_grids.h"
#include "tests/tap.h"

#include <stdint.h>

#if WEIR_BUILD_AVX512
#include "kernels/avx512/iq_packed.h"

/* The first of COUNT entries of VALUES bytes that is not the packed one, or COUNT. */
static int first_wrong(const void *grid, int values, int count, const uint16_t *packed,
                       const uint8_t *levels)
{
    const int bits = values == 8 ? 2 : 3;

    for (int e = 0; e < count; e++)
        for (int i = 0; i < values; i++) {
            uint64_t entry =
                values == 8 ? ((const uint64_t *)grid)[e] : ((const uint32_t *)grid)[e];
            int level = packed[e] >> (8 * (i % 2) + bits * (i / 2)) & ((1 << bits) - 1);
            if (levels[level] != (entry >> 8 * i & 255))
                return e;
        }
    return count;
}

#define CHECK(name, values, count)                                                                 \
    do {                                                                                           \
        int e =                                                                                    \
            first_wrong(weir_grid_##name, values, count, weir_packed_##name, weir_levels_##name);  \
        ok(e == (count), "%s: %d of %d entries are those of the grid", #name, e, count);           \
    } while (0)

int main(void)
{
    CHECK(iq2_xxs, 8, 256);
    CHECK(iq3_xxs, 4, 256);
    CHECK(iq3_s, 4, 512);
    return done();
}
#else
int main(void) { skip_all("AVX-512 is not built"); }
#endif
