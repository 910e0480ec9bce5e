/* SPDX-License-Identifier: MIT
 * Owns the reading and writing of numbers for people.  Any thread. */
#include "config.h"

#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int weir_size_parse(const char *text, uint64_t *ret_bytes, struct weir_err *err)
{
    static const char letters[] = "KMGT";
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return weir_fail(err, -EINVAL,
                         "'%s' is not a size; write 4G, 1.5G, 512M or a number of bytes", text);
    const double v = strtod(text, &end);
    double unit = 1;
    const char *letter = *end ? strchr(letters, toupper((unsigned char)*end)) : NULL;
    if (letter) {
        unit = ldexp(1.0, 10 * (int)(letter - letters + 1));
        end++;
        if (*end == 'i')
            end++;
    }
    if (*end == 'B' || *end == 'b')
        end++;
    if (*end || !isfinite(v) || v * unit >= 9.0e18)
        return weir_fail(err, -EINVAL,
                         "'%s' is not a size; write 4G, 1.5G, 512M or a number of bytes", text);
    *ret_bytes = (uint64_t)(v * unit);
    return 0;
}

char *weir_size_format(uint64_t bytes, char *buf, size_t buf_bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u < 6; u++)
        v /= 1024;
    snprintf(buf, buf_bytes, u && v < 100 ? "%.2f %s" : "%.0f %s", v, units[u]);
    return buf;
}

int weir_int_parse(const char *text, int64_t min, int64_t max, int64_t *ret, struct weir_err *err)
{
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || isspace((unsigned char)text[0]))
        return weir_fail(err, -EINVAL, "'%s' is not a whole number", text);
    if (v < min || v > max)
        return weir_fail(err, -EINVAL, "%s is outside %lld..%lld", text, (long long)min,
                         (long long)max);
    *ret = v;
    return 0;
}

int weir_float_parse(const char *text, double min, double max, double *ret, struct weir_err *err)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || isspace((unsigned char)text[0]))
        return weir_fail(err, -EINVAL, "'%s' is not a number", text);
    if (v < min || v > max)
        return weir_fail(err, -EINVAL, "%s is outside %g..%g", text, min, max);
    *ret = v;
    return 0;
}
