/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-test.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far more than anything takes, for a machine that is busy. */
#define PATIENCE_MS 30000

static GPtrArray *tmpdirs;

static void
require_own_network (void)
{
  const char *outer = g_getenv ("PORTHOLE_OUTER_NETNS");
  g_autofree char *own = g_file_read_link ("/proc/self/ns/net", NULL);

  if (outer == NULL || own == NULL || strcmp (outer, own) == 0)
    g_error ("tests run in a network namespace of their own: start them with ./run test");
}

static int
remove_one (const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  return remove (path);
}

static void
remove_tmpdirs (void)
{
  for (guint i = 0; i < tmpdirs->len; i++)
    nftw (tmpdirs->pdata[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_ptr_array_unref (tmpdirs);
}

void
ph_test_init (int *argc, char ***argv)
{
  g_test_init (argc, argv, NULL);
  require_own_network ();
  g_test_message ("seed %" G_GUINT64_FORMAT " (PH_SEED)", ph_test_seed ());
}

uint64_t
ph_test_seed (void)
{
  const char *text = g_getenv ("PH_SEED");

  return text != NULL ? g_ascii_strtoull (text, NULL, 0) : 1;
}

PhRandom
ph_test_random (PhRandomSeeded *state, const char *name)
{
  ph_random_seeded_init (state, ph_test_seed () * UINT64_C (1000003) + g_str_hash (name));
  return ph_random_seeded (state);
}

char *
ph_test_source_path (const char *relative)
{
  const char *top = g_getenv ("TOP_SRCDIR");

  g_assert_nonnull (top);
  return g_build_filename (top, relative, NULL);
}

char *
ph_test_tmpdir (void)
{
  char *dir = g_build_filename (g_get_tmp_dir (), "ph-test-XXXXXX", NULL);

  g_assert_nonnull (mkdtemp (dir));
  if (tmpdirs == NULL) {
    tmpdirs = g_ptr_array_new_with_free_func (g_free);
    atexit (remove_tmpdirs);
  }
  g_ptr_array_add (tmpdirs, g_strdup (dir));
  return dir;
}

static void
show (void *user, PhTime when, const char *module, const char *line)
{
  if (g_test_verbose ())
    g_test_message ("%s %s", module, line);
}

const PhTrace ph_test_trace = {show, NULL};

void
ph_test_command (const char *line)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *err = NULL;
  int status;

  g_spawn_command_line_sync (line, NULL, &err, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, NULL))
    g_error ("%s: %s", line, err);
}

void
ph_test_network (const char *const *addresses)
{
  if (unshare (CLONE_NEWNET) != 0)
    g_error ("no network namespace: %s", g_strerror (errno));
  ph_test_command ("ip link set lo up");
  ph_test_command ("ip link add near type veth peer name far");
  for (unsigned i = 0; addresses[i] != NULL; i++) {
    /* nodad: an address of IPv6 that still is being looked for elsewhere cannot be bound to. */
    g_autofree char *line = g_strdup_printf ("ip address add %s dev near%s", addresses[i],
                                             strchr (addresses[i], ':') != NULL ? " nodad" : "");

    ph_test_command (line);
  }
  ph_test_command ("ip link set near up");
  ph_test_command ("ip link set far up");
}

PhAddr
ph_test_addr (const char *text)
{
  PhAddr addr;

  g_assert_true (ph_addr_parse (text, 0, &addr));
  return addr;
}

static gboolean
on_patience (void *user)
{
  g_error ("waited too long for: %s", (const char *)user);
  return G_SOURCE_REMOVE;
}

guint
ph_test_be_patient (const char *what)
{
  return g_timeout_add (PATIENCE_MS, on_patience, (void *)what);
}
