/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-program-type.h"

#include <gio/gio.h>

/* Old names and new ones: which of them a system knows depends on how old its list of types is. */
static const char *const types[] = {
    "application/x-pie-executable",
    "application/x-sharedlib",
    "application/vnd.microsoft.portable-executable",
    "application/x-ms-dos-executable",
    "application/x-msdownload",
    "application/x-dosexec",
    "application/x-msi",
    "application/x-bat",
    "application/x-ms-shortcut",
    "application/x-desktop",
    "application/java-archive",
    "application/x-java-archive",
    "application/x-java-jnlp-file",
    "application/vnd.appimage",
    "application/x-iso9660-appimage",
};

/* Scripts count among the executables as well. */
static bool
is_native (const char *content_type)
{
  return g_content_type_is_a (content_type, "application/x-executable")
         && !g_content_type_is_a (content_type, "text/plain");
}

bool
ph_type_is_program (const char *content_type)
{
  if (content_type != NULL && is_native (content_type))
    return true;
  for (size_t i = 0; content_type != NULL && i < G_N_ELEMENTS (types); i++) {
    if (g_content_type_is_a (content_type, types[i]))
      return true;
  }
  return false;
}
