/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input as the plain form of an exported identity, and as a file without its contents. */

#include "app/engine/ph-export.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (PhExport) export = ph_export_decode (ph_slice (data, size));
  g_autoptr (GBytes) again = NULL;
  g_autoptr (GBytes) plain = NULL;

  /* There is one encoding of each. */
  if (export != NULL) {
    again = ph_export_encode (export);
    g_assert_nonnull (again);
    g_assert_true (g_bytes_get_size (again) == size
                   && memcmp (g_bytes_get_data (again, NULL), data, size) == 0);
  }
  /* Too short to have any: it ends before the passphrase costs time. */
  if (size < 60)
    g_assert_true (ph_export_open (ph_slice (data, size), "passphrase", &plain)
                   == PH_EXPORT_NOT_ONE);
  return 0;
}
