/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded into a window (LD_PRELOAD), it makes files slow to ask about, as on a network's drive: for every thread
 * but the main one. */

#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DELAY_NSEC 100000000

typedef int Statx (int folder, const char *path, int flags, unsigned mask, struct statx *ret);

__attribute__ ((visibility ("default"))) int
statx (int folder, const char *path, int flags, unsigned mask, struct statx *ret)
{
  static const struct timespec delay = {.tv_nsec = DELAY_NSEC};
  Statx *real = (Statx *)dlsym (RTLD_NEXT, "statx");

  if (gettid () != getpid ())
    nanosleep (&delay, NULL);
  return real (folder, path, flags, mask, ret);
}
