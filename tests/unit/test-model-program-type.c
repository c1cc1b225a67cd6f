/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-program-type.h"
#include "tests/support/ph-test.h"

#include <gio/gio.h>

static void
assert_program (const char *name, const char *content, size_t len, bool program)
{
  g_autofree char *type = g_content_type_guess (name, (const guchar *)content, len, NULL);

  g_test_message ("%s: %s", name, type);
  g_assert_true (ph_type_is_program (type) == program);
}

#define ASSERT_PROGRAM(name, content, program)                                                     \
  assert_program (name, content, sizeof (content) - 1, program)

/* As the system's own list of types sees them, by name and by content. */
static void
test_programs (void)
{
  static const char elf[] = "\x7f"
                            "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0";

  ASSERT_PROGRAM ("a", elf, true);
  ASSERT_PROGRAM ("a.jpg.desktop", "[Desktop Entry]\nType=Application\n", true);
  ASSERT_PROGRAM ("setup.exe", "MZ", true);
  ASSERT_PROGRAM ("setup.msi", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", true);
  ASSERT_PROGRAM ("a.jar", "PK\x03\x04", true);
  ASSERT_PROGRAM ("a.AppImage", elf, true);
  g_assert_true (ph_type_is_program ("application/x-ms-dos-executable"));
}

static void
test_others (void)
{
  ASSERT_PROGRAM ("a.txt", "words", false);
  ASSERT_PROGRAM ("a.sh", "#!/bin/sh\n", false); /* shown, not run */
  ASSERT_PROGRAM ("a.jpg", "\xff\xd8\xff", false);
  ASSERT_PROGRAM ("a.zip", "PK\x03\x04", false);
  ASSERT_PROGRAM ("a.odt", "PK\x03\x04", false);
  g_assert_false (ph_type_is_program ("inode/directory"));
  g_assert_false (ph_type_is_program ("application/octet-stream"));
  g_assert_false (ph_type_is_program (""));
  g_assert_false (ph_type_is_program (NULL));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/program-type/programs", test_programs);
  g_test_add_func ("/program-type/others", test_others);
  return g_test_run ();
}
