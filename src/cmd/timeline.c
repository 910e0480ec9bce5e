#include "config.h"
#include "src/cmd/timeline.h"
#include <errno.h>
int weir_timeline_svg(const weir_json *trace, const char *name, FILE *out, struct weir_err *err)
{
    (void)trace; (void)out;
    return weir_fail(err, -EINVAL, "%s: not yet", name);
}
