/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The window's words: plurals, sizes, times, and names that try to disturb them. */

#include "app/model/ph-format.h"
#include "tests/support/ph-test.h"

/* Compares and frees. */
#define assert_text(text, wanted)                                                                  \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autofree char *text_ = (text);                                                               \
    g_assert_cmpstr (text_, ==, wanted);                                                           \
  }                                                                                                \
  G_STMT_END

/* Between a number and its unit. */
#define NBSP "\xc2\xa0"
/* No line ends there. */
#define JOINER "\xe2\x81\xa0"
#define FSI "\xe2\x81\xa8"
#define PDI "\xe2\x81\xa9"

static PhTransferView
a_transfer (PhDirection direction, PhTransferState state)
{
  static const char *const names[] = {"photo.jpg", NULL};

  return (PhTransferView){
      .id = "0123456789abcdef0123456789abcdef",
      .contact = "",
      .contact_name = "Desk",
      .direction = direction,
      .state = state,
      .names = names,
      .files = 1,
      .bytes_total = 340000000,
      .folder = "",
      .path = "",
      .code = "",
      .message = "",
  };
}

static void
test_amounts (void)
{
  assert_text (ph_format_amount (1, 0), "1 file, 0 bytes");
  assert_text (ph_format_amount (12, 340000000), "12 files, 340.0" NBSP "MB");
  assert_text (ph_format_progress (1000, 2000000), "1.0" NBSP "kB of 2.0" NBSP "MB");
  assert_text (ph_format_rate (5200000), "5.2" NBSP "MB/" JOINER "s");
  /* The largest that a snapshot can hold. */
  assert_text (ph_format_size (UINT64_MAX), "18.4" NBSP "EB");
}

static void
test_time_left (void)
{
  static const struct {
    uint64_t seconds;
    const char *text;
  } cases[] = {
      {1, "a few seconds left"},
      {5, "5 seconds left"},
      {6, "10 seconds left"},
      {54, "55 seconds left"},
      {55, "1 minute left"},
      {89, "1 minute left"},
      {90, "2 minutes left"},
      {89 * 60, "89 minutes left"},
      {2 * 3600, "2 hours left"},
      {36 * 3600, "2 days left"},
      {UINT64_MAX / 1000, "9999 days left"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_text (ph_format_time_left (cases[i].seconds * 1000, 1000), cases[i].text);
  g_assert_null (ph_format_time_left (1000, 0));
  g_assert_null (ph_format_time_left (0, 1000));
}

static void
test_names (void)
{
  const char *const one[] = {"a.txt", NULL};
  const char *const two[] = {"a.txt", "b (2)", NULL};
  const char *const four[] = {"a", "b", "c", "d", NULL};
  const char *const none[] = {NULL};

  assert_text (ph_format_names (one, 1), "a.txt");
  assert_text (ph_format_names (two, 2), "a.txt, " FSI "b (2)" PDI);
  assert_text (ph_format_names (four, 4), "a, b and 2 more");
  assert_text (ph_format_names (none, 1), "1 file");
  assert_text (ph_format_names (NULL, 3), "3 files");
}

static void
test_name_within_a_sentence (void)
{
  assert_text (ph_format_name ("Desk"), "Desk");
  /* Would take the direction of what is around it. */
  assert_text (ph_format_name ("Desk (1)"), FSI "Desk (1)" PDI);
  assert_text (ph_format_name ("2026.jpg"), FSI "2026.jpg" PDI);
  /* Would give its direction to what is around it. */
  assert_text (ph_format_name ("\xd7\x90\xd7\x91"), FSI "\xd7\x90\xd7\x91" PDI);
  /* Would turn the rest of the line around: shown, not done. */
  assert_text (ph_format_name ("photo\xe2\x80\xaegpj.exe"), "photo\\u202egpj.exe");
  assert_text (ph_format_name ("two\nlines"), "two\\x0alines");
  assert_text (ph_format_name (""), FSI PDI);
}

static void
test_moment (void)
{
  g_autoptr (GDateTime) now = g_date_time_new_local (2026, 1, 1, 12, 0, 0);
  g_autoptr (GDateTime) today = g_date_time_new_local (2026, 1, 1, 9, 5, 0);
  g_autoptr (GDateTime) yesterday = g_date_time_new_local (2025, 12, 31, 23, 59, 0);
  g_autoptr (GDateTime) before = g_date_time_new_local (2025, 12, 30, 8, 0, 0);
  g_autoptr (GDateTime) later = g_date_time_new_local (2026, 3, 2, 8, 0, 0);
  const int64_t n = g_date_time_to_unix (now);

  assert_text (ph_format_moment (g_date_time_to_unix (today), n), "09:05");
  assert_text (ph_format_moment (g_date_time_to_unix (yesterday), n), "Yesterday, 23:59");
  assert_text (ph_format_moment (g_date_time_to_unix (before), n), "30 December 2025");
  assert_text (ph_format_moment (g_date_time_to_unix (later), n), "2 March, 08:00");
  assert_text (ph_format_moment (INT64_MAX, n), "");
}

static void
test_status_of_a_transfer (void)
{
  PhTransferView view = a_transfer (PH_DIRECTION_SEND, PH_TRANSFER_ACTIVE);

  view.bytes_done = 40000000;
  assert_text (ph_format_transfer_status (&view, 0), "40.0" NBSP "MB of 340.0" NBSP "MB");
  view.rate = 5000000;
  assert_text (ph_format_transfer_status (&view, 0),
               "40.0" NBSP "MB of 340.0" NBSP "MB · 5.0" NBSP "MB/" JOINER "s · 1 minute left");
  /* All bytes there, and more than there should be: nothing wraps around. */
  view.bytes_done = 340000001;
  assert_text (ph_format_transfer_status (&view, 0),
               "340.0" NBSP "MB of 340.0" NBSP "MB · 5.0" NBSP "MB/" JOINER "s");

  view = a_transfer (PH_DIRECTION_SEND, PH_TRANSFER_WAITING);
  assert_text (ph_format_transfer_status (&view, 0), "Waiting for Desk to come online");
  view.expires_at = 1;
  assert_text (ph_format_transfer_status (&view, 0),
               "Waiting for Desk to come online · until 00:00");
  view.code = "identity";
  assert_text (ph_format_transfer_status (&view, 0), "Stopped");
  view = a_transfer (PH_DIRECTION_RECEIVE, PH_TRANSFER_CANCELLED);
  view.missed = true;
  assert_text (ph_format_transfer_status (&view, 0), "Missed: Desk had something for you · 00:00");
  view = a_transfer (PH_DIRECTION_RECEIVE, PH_TRANSFER_OFFERED);
  assert_text (ph_format_transfer_status (&view, 0),
               "Desk wants to send you 1 file, 340.0" NBSP "MB");
  view = a_transfer (PH_DIRECTION_SEND, PH_TRANSFER_FAILED);
  assert_text (ph_format_transfer_status (&view, 0), "Failed");
  view.message = "There is no room.";
  assert_text (ph_format_transfer_status (&view, 0), "There is no room.");
  /* Every state has words in both directions. */
  for (int state = PH_TRANSFER_PREPARING; state <= PH_TRANSFER_FAILED; state++) {
    for (int direction = PH_DIRECTION_SEND; direction <= PH_DIRECTION_RECEIVE; direction++) {
      g_autofree char *text = NULL;

      view = a_transfer ((PhDirection)direction, (PhTransferState)state);
      text = ph_format_transfer_status (&view, 0);
      g_assert_nonnull (text);
      g_assert_cmpstr (text, !=, "");
    }
  }
}

static void
test_send_to (void)
{
  assert_text (ph_format_send_to ("Desk", 12, 340000000, false),
               "Send 12 files, 340.0" NBSP "MB, to Desk");
  assert_text (ph_format_send_to ("Desk", 1, 1, false), "Send 1 file, 1 byte, to Desk");
  assert_text (ph_format_send_to ("Desk", 10000, 340000000, true),
               "Send over 10000 files, 340.0" NBSP "MB, to Desk");
  assert_text (ph_format_send_to ("Desk", 0, 0, true), "Send to Desk");
}

static void
test_status_of_the_network (void)
{
  PhStatusView view = {PH_STATUS_ONLINE, "", "", 0};

  assert_text (ph_format_status (&view), "");
  view.status = PH_STATUS_OFFLINE;
  assert_text (ph_format_status (&view), "The meeting point cannot be reached");
  view.reason = "it does not answer";
  assert_text (ph_format_status (&view), "The meeting point cannot be reached: it does not answer");
}

static void
test_paths (void)
{
  g_assert_cmpstr (ph_format_path ("lan"), ==, "Direct, same network");
  g_assert_cmpstr (ph_format_path ("udp"), ==, "Direct through both routers");
  g_assert_cmpstr (ph_format_path ("relay"), ==, "Relayed");
  g_assert_null (ph_format_path (""));
  g_assert_null (ph_format_path ("pigeon"));
  g_assert_null (ph_format_path (NULL));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/model-format/amounts", test_amounts);
  g_test_add_func ("/model-format/time-left", test_time_left);
  g_test_add_func ("/model-format/names", test_names);
  g_test_add_func ("/model-format/name-within-a-sentence", test_name_within_a_sentence);
  g_test_add_func ("/model-format/moment", test_moment);
  g_test_add_func ("/model-format/status-of-a-transfer", test_status_of_a_transfer);
  g_test_add_func ("/model-format/send-to", test_send_to);
  g_test_add_func ("/model-format/status-of-the-network", test_status_of_the_network);
  g_test_add_func ("/model-format/paths", test_paths);
  return g_test_run ();
}
