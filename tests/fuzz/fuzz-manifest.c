/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A manifest that decodes is within its limits and encodes to the same bytes; building it anew from
 * its paths gives the same again. */

#include "app/engine/ph-manifest.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (PhManifest) manifest = ph_manifest_decode (ph_slice (data, size));

  if (manifest == NULL)
    return 0;

  PhManifestBuilder *builder = ph_manifest_builder_new ();

  for (uint32_t i = 0; i < ph_manifest_len (manifest); i++) {
    const PhEntry *entry = ph_manifest_entry (manifest, i);

    g_assert (g_utf8_validate (entry->path, -1, NULL));
    g_assert (entry->path[0] != '/');
    g_assert (
        ph_manifest_builder_add (builder, entry->kind, entry->path, entry->size, entry->mtime_s));
  }

  g_autoptr (PhManifest) again = ph_manifest_builder_end (builder);
  g_autoptr (GBytes) bytes = ph_manifest_encode (again);

  g_assert (ph_slice_equal (ph_slice (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)),
                            ph_slice (data, size)));
  return 0;
}
