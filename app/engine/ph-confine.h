/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A second wall around threads that write what a peer sends: Landlock.
 *
 * The first one is how they open things (ph_open_inside()). This one is the kernel's, and holds whatever
 * they do: a thread that was confined can never again change the file system outside of the folders that
 * were named, nor make links or devices inside of them, nor run a program. It can read as before (the C
 * library reads catalogues and tables when it likes), use what is open already, and what its process
 * does on other threads is not concerned. Threads that it makes are confined likewise. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Confines the calling thread, for good, to the `n` folders that the descriptors are of; what is in them may be
 * moved between them. False where the kernel cannot (before 5.19, or not built in, or not switched on) or a
 * sandbox does not let us: then nothing has changed, but that the thread gains no privileges by running
 * programs. The first such false is said in the log. */
bool ph_confine_thread (const int *folders, size_t n);
