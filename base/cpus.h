/* SPDX-License-Identifier: MIT
 *
 * Which CPUs are worth a compute thread. */
#ifndef WEIR_BASE_CPUS_H
#define WEIR_BASE_CPUS_H

#include <sched.h>

struct weir_cpus {
    cpu_set_t set;    /* where compute threads should run */
    unsigned n;       /* CPUs in it, at least 1: as many threads */
    unsigned allowed; /* CPUs this process may run on at all */
};

/* Of the CPUs this process may run on, one of each core (two threads of a core share the units that
 * products keep busy), and of cores of different strength the strong ones: those of at least half
 * the largest cpu_capacity (Arm and others), or of the list of performance cores (Intel).  A
 * product ends when its last thread ends, so a weak core would be waited for. ROOT stands before
 * /sys; "" for this machine, a folder in tests.  ALLOWED: NULL for this process. Never fails: what
 * cannot be read does not count. */
void weir_cpus_probe(const char *root, const cpu_set_t *allowed, struct weir_cpus *ret);

#endif
