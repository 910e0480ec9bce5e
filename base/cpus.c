/* SPDX-License-Identifier: MIT
 * Owns the reading of /sys/devices for what CPUs there are.  Any thread. */
#include "config.h"

#include "base/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0-3,8" as a set; false when there is no such file. */
static int read_list(const char *root, const char *path, cpu_set_t *ret)
{
    char name[512], line[1024];
    snprintf(name, sizeof(name), "%s/sys/devices/%s", root, path);
    FILE *f = fopen(name, "re");
    const int have = f && fgets(line, sizeof(line), f);
    if (f)
        fclose(f);
    if (!have)
        return 0;
    CPU_ZERO(ret);
    for (const char *p = line; *p >= '0' && *p <= '9';) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < CPU_SETSIZE; i++)
            CPU_SET(i, ret);
        p = *end == ',' ? end + 1 : end;
    }
    return 1;
}

static unsigned long capacity(const char *root, unsigned cpu)
{
    char name[512], line[32];
    snprintf(name, sizeof(name), "%s/sys/devices/system/cpu/cpu%u/cpu_capacity", root, cpu);
    FILE *f = fopen(name, "re");
    const unsigned long v = f && fgets(line, sizeof(line), f) ? strtoul(line, NULL, 10) : 0;
    if (f)
        fclose(f);
    return v;
}

/* Take away what is not among KEEP, unless nothing would be left. */
static void keep_only(cpu_set_t *set, const cpu_set_t *keep)
{
    cpu_set_t both;
    CPU_AND(&both, set, keep);
    if (CPU_COUNT(&both))
        *set = both;
}

static void keep_strong(const char *root, cpu_set_t *set)
{
    cpu_set_t strong;
    unsigned long have[CPU_SETSIZE] = { 0 }, most = 0;
    if (read_list(root, "cpu_core/cpus", &strong)) { /* Intel, only where there are two kinds */
        keep_only(set, &strong);
        return;
    }
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, set) && (have[i] = capacity(root, i)) > most)
            most = have[i];
    CPU_ZERO(&strong);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, set) && 2 * have[i] >= most)
            CPU_SET(i, &strong);
    keep_only(set, &strong);
}

/* Of the threads of a core, the first one that is in the set. */
static void keep_one_of_core(const char *root, cpu_set_t *set)
{
    cpu_set_t seen, siblings;
    CPU_ZERO(&seen);
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        char path[64];
        if (!CPU_ISSET(i, set))
            continue;
        if (CPU_ISSET(i, &seen)) {
            CPU_CLR(i, set);
            continue;
        }
        snprintf(path, sizeof(path), "system/cpu/cpu%u/topology/thread_siblings_list", i);
        if (read_list(root, path, &siblings))
            CPU_OR(&seen, &seen, &siblings);
    }
}

void weir_cpus_probe(const char *root, const cpu_set_t *allowed, struct weir_cpus *ret)
{
    CPU_ZERO(&ret->set);
    if (allowed)
        ret->set = *allowed;
    else if (sched_getaffinity(0, sizeof(ret->set), &ret->set))
        CPU_ZERO(&ret->set); /* more CPUs than the set has room for */
    ret->allowed = (unsigned)CPU_COUNT(&ret->set);
    if (!ret->allowed) {
        ret->allowed = ret->n = 1;
        return;
    }
    keep_strong(root, &ret->set);
    keep_one_of_core(root, &ret->set);
    ret->n = (unsigned)CPU_COUNT(&ret->set);
}
