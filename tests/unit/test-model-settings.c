/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings as properties, on a real engine that is not online: what is written holds, what is refused is
 * told and shown as it was, and quick changes do not turn each other back. */

#include "app/model/ph-settings.h"
#include "tests/support/ph-test.h"

typedef struct {
  char *dir;
  PhClient *client;
  PhSettings *settings;
  char *refused; /* key */
} Fixture;

static void
refused (PhSettings *settings, const char *key, const char *message, Fixture *f)
{
  g_assert_cmpstr (message, !=, "");
  g_set_str (&f->refused, key);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *profile = NULL;

  f->dir = ph_test_tmpdir ();
  profile = g_build_filename (f->dir, "profile", NULL);
  f->client = ph_client_new (profile, &error);
  g_assert_no_error (error);
  f->settings = ph_settings_new (f->client);
  g_signal_connect (f->settings, "refused", G_CALLBACK (refused), f);
  while (!ph_client_get_loaded (f->client))
    g_main_context_iteration (NULL, TRUE);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  ph_client_close (f->client);
  /* What was under way ends with the client, and lets go of the settings. */
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_finalize_object (f->settings);
  g_object_unref (f->client);
  g_free (f->dir);
  g_free (f->refused);
}

static void
wait_for (Fixture *f, const char *key, const char *value)
{
  while (g_strcmp0 (ph_client_get_setting (f->client, key), value) != 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_kinds (Fixture *f, gconstpointer unused)
{
  double limit;
  gboolean private_mode;
  g_autofree char *name = NULL;

  g_object_set (f->settings, "name", " Desk ", "speed-limit-up", 2.5, "private-mode", TRUE, NULL);
  wait_for (f, "name", "Desk");
  wait_for (f, "speed-limit-up", "2500000");
  wait_for (f, "private-mode", "true");
  g_object_get (f->settings, "name", &name, "speed-limit-up", &limit, "private-mode", &private_mode,
                NULL);
  g_assert_cmpstr (name, ==, "Desk");
  g_assert_cmpfloat (limit, ==, 2.5);
  g_assert_true (private_mode);
}

static void
test_refused (Fixture *f, gconstpointer unused)
{
  g_autofree char *shown = NULL;

  g_object_set (f->settings, "rendezvous", "gopher://example.org", NULL);
  while (f->refused == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (f->refused, ==, "rendezvous");
  g_object_get (f->settings, "rendezvous", &shown, NULL);
  g_assert_cmpstr (shown, ==, "");
}

static void
note_backward (GObject *settings, GParamSpec *pspec, double *last)
{
  double days;

  g_object_get (settings, "queue-days", &days, NULL);
  g_assert_cmpfloat (days, >=, *last);
  *last = days;
}

static void
test_quick_changes (Fixture *f, gconstpointer unused)
{
  double last = 20;

  g_signal_connect (f->settings, "notify::queue-days", G_CALLBACK (note_backward), &last);
  for (int days = 20; days <= 40; days++) {
    g_object_set (f->settings, "queue-days", (double)days, NULL);
    g_main_context_iteration (NULL, FALSE);
  }
  wait_for (f, "queue-days", "40");
  g_signal_handlers_disconnect_by_data (f->settings, &last);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add ("/settings/kinds", Fixture, NULL, set_up, test_kinds, tear_down);
  g_test_add ("/settings/refused", Fixture, NULL, set_up, test_refused, tear_down);
  g_test_add ("/settings/quick-changes", Fixture, NULL, set_up, test_quick_changes, tear_down);
  return g_test_run ();
}
