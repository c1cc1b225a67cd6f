/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input as the plain form of an exported identity, and as a file without its contents. */

#include "app/engine/ph-export.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (PhExport) export = ph_export_decode (ph_slice (data, size));
  g_autoptr (GBytes) plain = NULL;

  /* What is written of it says the same; only lengths may have been longer than they need to be. */
  if (export != NULL) {
    g_autoptr (GBytes) once = ph_export_encode (export);
    g_autoptr (PhExport) same =
        ph_export_decode (ph_slice (g_bytes_get_data (once, NULL), g_bytes_get_size (once)));

    g_assert_nonnull (same);

    g_autoptr (GBytes) twice = ph_export_encode (same);

    g_assert_true (g_bytes_equal (once, twice));
    g_assert_true (g_bytes_get_size (once) <= size);
  }
  /* Too short to have any: it ends before the passphrase costs time. */
  if (size < 60)
    g_assert_true (ph_export_open (ph_slice (data, size), "passphrase", &plain)
                   == PH_EXPORT_NOT_ONE);
  return 0;
}
