/* SPDX-License-Identifier: MIT
 * Owns the reading of /proc and /sys/fs/cgroup.  Any thread. */
#include "config.h"

#include "base/machine.h"

#include "base/cpus.h"
#include "base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of "KEY:  N kB" in a /proc file, in bytes; 0 when it is not there. */
static uint64_t proc_kb(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char line[256];
    uint64_t v = 0;
    const size_t n = strlen(key);
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, key, n) && line[n] == ':') {
            v = strtoull(line + n + 1, NULL, 10) << 10;
            break;
        }
    if (f)
        fclose(f);
    return v;
}

/* A file that holds one number; FALLBACK when it is missing or says "max". */
static uint64_t one_number(const char *path, uint64_t fallback)
{
    FILE *f = fopen(path, "re");
    char line[64];
    uint64_t v = fallback;
    if (f && fgets(line, sizeof(line), f) && line[0] >= '0' && line[0] <= '9')
        v = strtoull(line, NULL, 10);
    if (f)
        fclose(f);
    return v;
}

/* What the memory cgroups above this process leave, v1 or v2; UINT64_MAX without a limit.  A limit
 * may stand at any level, so every one from ours to the root is asked. */
static uint64_t cgroup_left(void)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[1024];
    uint64_t left = UINT64_MAX;
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        char *ctl = strchr(line, ':'), *path = ctl ? strchr(ctl + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        const int v2 = ctl[1] == 0;
        if (!v2 && strcmp(ctl + 1, "memory"))
            continue;
        for (;;) {
            char name[1400];
            const char *root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
            snprintf(name, sizeof(name), "%s%s/%s", root, path,
                     v2 ? "memory.max" : "memory.limit_in_bytes");
            const uint64_t limit = one_number(name, UINT64_MAX);
            snprintf(name, sizeof(name), "%s%s/%s", root, path,
                     v2 ? "memory.current" : "memory.usage_in_bytes");
            const uint64_t used = one_number(name, 0);
            if (limit < UINT64_C(1) << 60)
                left = weir_min_u64(left, limit > used ? limit - used : 0);
            char *slash = strrchr(path, '/');
            if (!slash || !path[1])
                break;
            slash[slash == path] = 0;
        }
    }
    if (f)
        fclose(f);
    return left;
}

void weir_machine_probe(struct weir_machine *m)
{
    struct weir_cpus cpus;
    weir_cpus_probe("", NULL, &cpus);
    *m = (struct weir_machine){ .n_cpu = cpus.n, .n_allowed = cpus.allowed, .cpus = cpus.set };
    m->mem_total = proc_kb("/proc/meminfo", "MemTotal");
    m->mem_free = weir_min_u64(proc_kb("/proc/meminfo", "MemAvailable"), cgroup_left());
}

/* A rate "KEY" for all weights or "KEY.q4_0" for one kind.  Does ITEM name it? */
static bool set_rates(const char *item, const char *key, double v, double rate[WEIR_RATE_COUNT])
{
    const size_t n = strlen(key);
    if (strncmp(item, key, n) || (item[n] && item[n] != '.'))
        return false;
    const int one = item[n] ? weir_rate_from_name(item + n + 1) : -1;
    if (item[n] && one < 0)
        return false;
    for (int i = 0; i < (int)WEIR_RATE_COUNT; i++)
        if (one < 0 || i == one)
            rate[i] = v;
    return true;
}

int weir_machine_parse(const char *text, struct weir_machine *m, struct weir_err *err)
{
    char item[128];
    while (*text) {
        const size_t n = strcspn(text, ",");
        if (n >= sizeof(item))
            return weir_fail(err, -EINVAL, "'%.40s...' is too long for a machine", text);
        memcpy(item, text, n);
        item[n] = 0;
        text += n + (text[n] == ',');
        char *value = strchr(item, '=');
        if (!value)
            return weir_fail(err, -EINVAL,
                             "'%s' in a machine has no value; write cpu=4,mem=8G,disk=3.5G,mul=20G",
                             item);
        *value++ = 0;
        if (!strcmp(item, "gpu") && *value) {
            snprintf(m->gpu_name, sizeof(m->gpu_name), "%s", value);
            continue;
        }
        uint64_t v;
        const int r = weir_size_parse(value, &v, err);
        if (r < 0)
            return r;
        if (!strcmp(item, "cpu") && v >= 1 && v <= 256)
            m->n_cpu = m->n_allowed = (unsigned)v;
        else if (!strcmp(item, "mem"))
            m->mem_total = m->mem_free = v;
        else if (!strcmp(item, "disk"))
            m->disk_rate = (double)v;
        else if (!strcmp(item, "vram"))
            m->vram_total = m->vram_free = v;
        else if (!strcmp(item, "bus"))
            m->bus_rate = (double)v;
        else if (!strcmp(item, "vmem"))
            m->vram_rate = (double)v;
        else if (!set_rates(item, "mul", (double)v, m->mul_rate) &&
                 !set_rates(item, "gmul", (double)v, m->gpu_mul_rate))
            return weir_fail(
                err, -EINVAL,
                "'%s=%s' is not known of a machine; write cpu=4,mem=8G,disk=3.5G,mul=20G, and of a "
                "GPU vram=8G,bus=12G,vmem=300G,gpu=NAME",
                item, value);
    }
    return 0;
}

uint64_t weir_rss_bytes(void) { return proc_kb("/proc/self/status", "VmRSS"); }
uint64_t weir_peak_rss_bytes(void) { return proc_kb("/proc/self/status", "VmHWM"); }
