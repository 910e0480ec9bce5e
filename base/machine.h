/* SPDX-License-Identifier: MIT
 *
 * What a machine has, as far as a plan needs to know.  It can be this machine, or one that is only
 * described: plans are tested on machines nobody has. */
#ifndef WEIR_BASE_MACHINE_H
#define WEIR_BASE_MACHINE_H

#include "base/err.h"
#include "base/rate.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_machine {
    unsigned n_cpu;      /* CPUs worth a compute thread: see base/cpus.h */
    unsigned n_allowed;  /* CPUs this process may run on */
    cpu_set_t cpus;      /* the n_cpu ones, of this machine */
    uint64_t mem_total;  /* bytes */
    uint64_t mem_free;   /* bytes a new process could take: the smaller of MemAvailable and
                            what the memory cgroup leaves */
    double disk_rate;    /* bytes/s of direct reads from the model's file; 0: not measured */
    unsigned disk_depth; /* reads in flight it is fastest with; 0: not measured */
    double mul_rate[WEIR_RATE_COUNT]; /* bytes/s of weights multiplied by one token with all
                                         threads, by base/rate.h; 0: not measured */
    double pass_overhead_s;           /* of a pass, per layer, besides matrix products */
    double stream_slowdown;           /* how many times as long a pass computes while the disk
                                         reads; 0: not known */

    /* A GPU; vram_total 0: there is none, or nobody asked. */
    char gpu_name[128];
    uint64_t vram_total, vram_free; /* bytes of device memory: all, and free now */
    uint64_t gpu_cache_bytes;       /* its last-level cache; 0: not known */
    bool gpu_integrated;            /* its memory is taken from mem_free */
    double bus_rate;  /* bytes/s from pinned host memory to the device; 0: not measured */
    double vram_rate; /* bytes/s the device reads its memory with; 0: not measured */
    double gpu_mul_rate[WEIR_RATE_COUNT]; /* as mul_rate, on the device; 0: vram_rate is used */
    double gpu_overhead_s;                /* as pass_overhead_s, on the device */
};

/* CPUs and memory of this machine; the rates are 0.  Never fails: what cannot be read is guessed
 * low. */
void weir_machine_probe(struct weir_machine *m);

/* "cpu=4,mem=8G,disk=3.5G,mul=20G,vram=8G,bus=12G,vmem=300G,gpu=NAME": what is not named keeps the
 * value *m has; disk, mul, bus, vmem and gmul (of the GPU) are bytes a second, mul and gmul for all
 * weights or "mul.q4_0=...", "mul.gptq-4=..." (base/rate.h) for one kind.  0 or -EINVAL. */
int weir_machine_parse(const char *text, struct weir_machine *m, struct weir_err *err);

/* Bytes this process has resident now, and the most it ever had (VmRSS, VmHWM). */
uint64_t weir_rss_bytes(void);
uint64_t weir_peak_rss_bytes(void);

#endif
