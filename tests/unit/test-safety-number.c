/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The safety number is the one of docs/protocol.md, whoever asks. */

#include "app/engine/ph-safety-number.h"
#include "tests/support/ph-test.h"

#include <sodium.h>

static PhDeviceId
key (const char *hex)
{
  PhDeviceId id;

  g_assert_cmpint (sodium_hex2bin (id.key, sizeof id.key, hex, strlen (hex), NULL, NULL, NULL), ==,
                   0);
  return id;
}

static void
test_vector (void)
{
  const PhDeviceId a = key ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const PhDeviceId b = key ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  char ab[PH_SAFETY_NUMBER_STRING_MAX], ba[PH_SAFETY_NUMBER_STRING_MAX];

  ph_safety_number (&a, &b, ab);
  ph_safety_number (&b, &a, ba);
  g_assert_cmpstr (ab, ==,
                   "55703 11738 57517 53389 04341 20868 "
                   "66314 51202 63434 19198 78639 45144");
  g_assert_cmpstr (ba, ==, ab);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/safety-number/vector", test_vector);
  return g_test_run ();
}
