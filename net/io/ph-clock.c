/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-clock.h"

#include <glib.h>
#include <time.h>

PhTime
ph_clock_now (void)
{
  struct timespec ts;
  int r = clock_gettime (CLOCK_BOOTTIME, &ts);

  g_assert (r == 0);
  return (PhTime)ts.tv_sec * PH_SEC + (PhTime)ts.tv_nsec;
}
