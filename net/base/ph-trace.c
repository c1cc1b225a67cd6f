/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/base/ph-trace.h"

void
ph_trace (const PhTrace *trace, PhTime now, const char *module, const char *format, ...)
{
  if (trace == NULL || trace->event == NULL)
    return;

  va_list args;

  va_start (args, format);
  g_autofree char *line = g_strdup_vprintf (format, args);
  va_end (args);
  trace->event (trace->user, now, module, line);
}
