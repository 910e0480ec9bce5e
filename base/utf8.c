/* SPDX-License-Identifier: MIT
 * Owns the validity of UTF-8.  Any thread. */
#include "config.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

int weir_utf8_len(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    int len;
    unsigned lo = 0x80, hi = 0xbf; /* what the second byte may be: no overlong forms, no surrogates */
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            lo = 0xa0;
        if (p[0] == 0xed)
            hi = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            lo = 0x90;
        if (p[0] == 0xf4)
            hi = 0x8f;
    } else {
        return -1;
    }
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n)
            return 0;
        if (p[i] < lo || p[i] > hi)
            return -i;
        lo = 0x80;
        hi = 0xbf;
    }
    return len;
}

char *weir_utf8_clean(const char *s, size_t n)
{
    if (n > (size_t)1 << 40)
        return NULL;
    char *out = malloc(n * 3 + 1), *o = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        int len = weir_utf8_len(s + i, n - i);
        if (len > 0 && s[i]) {
            memcpy(o, s + i, (size_t)len);
            o += len;
            i += (size_t)len;
            continue;
        }
        memcpy(o, "\xef\xbf\xbd", 3);
        o += 3;
        i += len < 0 ? (size_t)-len : len ? 1 : n - i;
    }
    *o = 0;
    return out;
}
