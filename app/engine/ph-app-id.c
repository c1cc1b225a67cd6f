/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/engine/ph-app-id.h"

/* 64 bits: two profiles of one person do not meet by chance. */
#define HASH_DIGITS 16

char *
ph_app_id_default_profile (void)
{
  return g_build_filename (g_get_user_data_dir (), "porthole", NULL);
}

char *
ph_app_id_for_profile (const char *dir)
{
  g_autofree char *own = ph_app_id_default_profile ();
  g_autofree char *path = NULL, *hash = NULL;

  if (dir == NULL)
    return g_strdup (PH_APP_ID);
  path = g_canonicalize_filename (dir, NULL);
  if (g_str_equal (path, own))
    return g_strdup (PH_APP_ID);
  hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, path, -1);
  return g_strdup_printf ("%s.P%.*s", PH_APP_ID, HASH_DIGITS, hash);
}
