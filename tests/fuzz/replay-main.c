/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a fuzz target over files and folders of files: how a corpus is replayed without libFuzzer. */

#include <glib.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static unsigned
replay (const char *path)
{
  if (!g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_autofree char *data = NULL;
    gsize size;

    if (!g_file_get_contents (path, &data, &size, NULL))
      g_error ("cannot read %s", path);
    LLVMFuzzerTestOneInput ((const uint8_t *)data, size);
    return 1;
  }

  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  unsigned count = 0;

  if (dir == NULL)
    g_error ("cannot open %s", path);
  for (const char *name; (name = g_dir_read_name (dir)) != NULL;) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    count += replay (child);
  }
  return count;
}

int
main (int argc, char **argv)
{
  unsigned count = 0;

  for (int i = 1; i < argc; i++)
    count += replay (argv[i]);
  g_print ("%u inputs\n", count);
  return count > 0 ? 0 : 1;
}
