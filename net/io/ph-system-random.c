/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-system-random.h"

#include <glib.h>
#include <sodium.h>

static void
fill_from_system (void *user, void *out, size_t len)
{
  randombytes_buf (out, len);
}

PhRandom
ph_system_random (void)
{
  int r = sodium_init (); /* idempotent, thread-safe; waits for the kernel's first entropy */

  g_assert (r >= 0);
  return (PhRandom){fill_from_system, NULL};
}
