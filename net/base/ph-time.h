/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time, as every core sees it.
 *
 * One type: nanoseconds of CLOCK_BOOTTIME, so that a suspend shows as a jump forward. Cores never
 * read a clock: the driver (net/io) or the simulator hands them the time. Wall-clock time exists only
 * in app/. A point in time and a span share the type; a span's name says so (`_interval`, `_ms`). */

#pragma once

#include <stdint.h>

typedef uint64_t PhTime;

/* "No deadline": later than any time that can be reached. */
#define PH_NEVER UINT64_MAX

#define PH_USEC UINT64_C (1000)
#define PH_MSEC UINT64_C (1000000)
#define PH_SEC UINT64_C (1000000000)

/* t + span, saturating at PH_NEVER. */
static inline PhTime
ph_time_add (PhTime t, PhTime span)
{
  return t > PH_NEVER - span ? PH_NEVER : t + span;
}

/* t - earlier, or 0 where `earlier` is not earlier. */
static inline PhTime
ph_time_since (PhTime t, PhTime earlier)
{
  return t > earlier ? t - earlier : 0;
}

static inline PhTime
ph_time_min (PhTime a, PhTime b)
{
  return a < b ? a : b;
}
