/* SPDX-License-Identifier: MIT
 * Owns the making of valid UTF-8 out of anything.  Any thread. */
#include "config.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

char *weir_utf8_clean(const char *s, size_t n)
{
    if (n > (size_t)1 << 40)
        return NULL;
    char *out = malloc(n * 3 + 1), *o = out;
    if (!out)
        return NULL;
    for (size_t i = 0, len; i < n; i += len) {
        if (weir_utf8_step((const uint8_t *)s + i, n - i, &len) == WEIR_UTF8_OK && s[i]) {
            memcpy(o, s + i, len);
            o += len;
        } else {
            memcpy(o, "\xef\xbf\xbd", 3);
            o += 3;
        }
    }
    *o = 0;
    return out;
}
