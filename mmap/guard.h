/* SPDX-License-Identifier: MIT
 *
 * Reading a mapped file that somebody else may shorten.
 *
 * A read of a mapped page that is no longer in the file (or that the disk could not deliver) raises
 * SIGBUS, and the program dies.  A registered range is protected: the read gives zeros, *flag is
 * set to 1, and the owner answers with a sentence.  The contract for an owner:
 *
 *     weir_guard_add(base, bytes, &flag)   after mmap, before the first read
 *     ... read, in any thread ...
 *     if (flag) the bytes read since the last look may be zeros: throw the results away and say so
 *     weir_guard_remove(base)              before munmap, when no thread reads the range any more
 *
 * From the fault on, everything from the page that failed to the end of the range reads as zeros,
 * also if the file grows back: the range is only good for unmapping.  (To the end, and not one
 * page: a file that lost gigabytes would otherwise fault once per page, and the pages after the
 * first bad one are nearly always gone too.)
 *
 * What it does not cover: system calls that are given such an address answer EFAULT by themselves,
 * and a device that reads host memory raises no signal.  A thread that blocks SIGBUS is not
 * protected.  A SIGBUS outside of all ranges goes to whoever had the signal before, or kills the
 * program as usual.
 *
 * The registry is fixed and its reader takes no lock, because it is a signal handler.  The handler
 * is installed at the first add and stays. */
#ifndef WEIR_MMAP_GUARD_H
#define WEIR_MMAP_GUARD_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

#define WEIR_GUARD_MAX 2048 /* models come in a hundred files and more */

/* Protect the BYTES at BASE, a page-aligned mapping that overlaps no other registered range.
 * flag    set to 1 by any thread that faults inside; never cleared here; must outlive the range.
 * Returns 0; -ENOSPC when WEIR_GUARD_MAX ranges are registered.  Any thread. */
int weir_guard_add(const void *base, uint64_t bytes, atomic_int *flag, struct weir_err *err);

/* Forget the range that begins at BASE; a BASE that is not registered is ignored.  Any thread, but
 * no thread may be reading the range. */
void weir_guard_remove(const void *base);

#endif
