/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-transfer-words.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>

#define BETWEEN " · "
#define DIGEST_GROUP 8

/* --- One line ------------------------------------------------------------------------------------ */

static void
add_fact (GString *line, const char *fact)
{
  if (fact == NULL || *fact == '\0')
    return;
  if (line->len > 0 && line->str[line->len - 1] != '\n')
    g_string_append (line, BETWEEN);
  g_string_append (line, fact);
}

/* Of one that arrived, as a whole; NULL where that cannot be told. */
static char *
average_rate (const PhTransferView *view)
{
  if (view->state != PH_TRANSFER_DONE)
    return NULL;
  if (view->duration_ms == 0)
    return view->rate > 0 ? ph_format_rate (view->rate) : NULL;
  return ph_format_rate (view->bytes_total * 1000 / view->duration_ms);
}

char *
ph_transfer_summary (const PhTransferView *view, int64_t now)
{
  g_autofree char *name = ph_format_name (view->contact_name);
  g_autofree char *amount = ph_format_amount (view->files, view->bytes_total);
  g_autofree char *rate = average_rate (view);
  g_autofree char *moment =
      ph_format_moment (view->finished_at > 0 ? view->finished_at : view->created_at, now);
  g_autofree char *whom = g_strdup_printf (view->direction == PH_DIRECTION_SEND
                                               /* Translators: %s is the name of a person. */
                                               ? _ ("To %s")
                                               /* Translators: %s is the name of a person. */
                                               : _ ("From %s"),
                                           name);
  GString *lines = g_string_new (NULL);

  add_fact (lines, ph_transfer_result (view));
  add_fact (lines, whom);
  add_fact (lines, moment);
  g_string_append_c (lines, '\n');
  add_fact (lines, amount);
  add_fact (lines, rate);
  if (view->state == PH_TRANSFER_DONE)
    add_fact (lines, ph_format_path (view->path));
  return g_string_free_and_steal (lines);
}

const char *
ph_transfer_direction_icon (const PhTransferView *view)
{
  return view->direction == PH_DIRECTION_SEND ? "document-send-symbolic"
                                              : "folder-download-symbolic";
}

const char *
ph_transfer_result (const PhTransferView *view)
{
  if (view->missed)
    return C_ ("result of a transfer", "Missed");
  switch (view->state) {
  case PH_TRANSFER_DONE:
    return view->direction == PH_DIRECTION_SEND ? C_ ("result of a transfer", "Delivered")
                                                : C_ ("result of a transfer", "Received");
  case PH_TRANSFER_DECLINED:
    return C_ ("result of a transfer", "Declined");
  case PH_TRANSFER_CANCELLED:
    return C_ ("result of a transfer", "Cancelled");
  case PH_TRANSFER_FAILED:
    return C_ ("result of a transfer", "Failed");
  default:
    return C_ ("result of a transfer", "Not finished");
  }
}

const char *
ph_transfer_result_icon (const PhTransferView *view)
{
  if (view->missed)
    return "call-missed-symbolic";
  switch (view->state) {
  case PH_TRANSFER_DONE:
    return "object-select-symbolic";
  case PH_TRANSFER_DECLINED:
  case PH_TRANSFER_CANCELLED:
    return "process-stop-symbolic";
  case PH_TRANSFER_FAILED:
    return "dialog-warning-symbolic";
  default:
    return "content-loading-symbolic";
  }
}

const char *
ph_transfer_result_style (const PhTransferView *view)
{
  if (view->missed)
    return "warning";
  switch (view->state) {
  case PH_TRANSFER_DONE:
    return "success";
  case PH_TRANSFER_FAILED:
    return "error";
  default:
    return "dimmed";
  }
}

char *
ph_transfer_digest (const char *hex)
{
  GString *groups = g_string_new (NULL);

  for (size_t i = 0; hex[i] != '\0'; i++) {
    if (i > 0 && i % DIGEST_GROUP == 0)
      g_string_append_c (groups, ' ');
    g_string_append_c (groups, hex[i]);
  }
  return g_string_free_and_steal (groups);
}

/* --- Facts --------------------------------------------------------------------------------------- */

static char *
duration_words (uint32_t ms)
{
  const unsigned seconds = (unsigned)((ms + 500) / 1000);

  if (seconds < 1)
    return g_strdup (_ ("less than a second"));
  if (seconds < 120)
    return g_strdup_printf (ngettext ("%u second", "%u seconds", seconds), seconds);
  if (seconds < 2 * 3600)
    return g_strdup_printf (ngettext ("%u minute", "%u minutes", seconds / 60), seconds / 60);
  return g_strdup_printf (ngettext ("%u hour", "%u hours", seconds / 3600), seconds / 3600);
}

static void
add_time (GListStore *facts, const PhTransferView *view)
{
  g_autofree char *duration = NULL;
  g_autofree char *rate = NULL;

  if (view->duration_ms == 0) {
    ph_detail_add_take (facts, _ ("Speed"), average_rate (view));
    return;
  }
  duration = duration_words (view->duration_ms);
  if (view->state != PH_TRANSFER_DONE) {
    ph_detail_add (facts, _ ("Time taken"), duration);
    return;
  }
  rate = average_rate (view);
  /* Translators: how long a transfer took, and its average speed. */
  ph_detail_add_take (facts, _ ("Time taken"), g_strdup_printf (_ ("%s, at %s"), duration, rate));
}

void
ph_transfer_facts (const PhTransferView *view, int64_t now, GListStore *facts)
{
  g_autoptr (GListStore) fresh = g_list_store_new (PH_TYPE_DETAIL);

  ph_detail_add_take (fresh, view->direction == PH_DIRECTION_SEND ? _ ("To") : _ ("From"),
                      ph_format_name (view->contact_name));
  ph_detail_add_take (fresh, _ ("Amount"), ph_format_amount (view->files, view->bytes_total));
  if (view->bytes_done > 0
      && (!ph_transfer_state_ended (view->state) || view->bytes_done < view->bytes_total))
    ph_detail_add_take (fresh, _ ("Arrived"),
                        ph_format_progress (view->bytes_done, view->bytes_total));
  ph_detail_add_take (fresh, _ ("Began"), ph_format_moment (view->created_at, now));
  if (view->finished_at > 0)
    ph_detail_add_take (fresh, _ ("Ended"), ph_format_moment (view->finished_at, now));
  else if (view->expires_at > 0)
    ph_detail_add_take (fresh, _ ("Waits until"), ph_format_moment (view->expires_at, now));
  add_time (fresh, view);
  if (view->direction == PH_DIRECTION_RECEIVE && view->folder[0] != '\0')
    ph_detail_add_take (fresh, _ ("Folder"), g_filename_display_name (view->folder));
  ph_details_replace (facts, fresh);
}

/* --- The way ------------------------------------------------------------------------------------- */

static const char *
kind_words (const char *kind)
{
  if (g_strcmp0 (kind, "host") == 0)
    return _ ("its own address");
  if (g_strcmp0 (kind, "srflx") == 0)
    return _ ("the router’s address, as a server sees it");
  if (g_strcmp0 (kind, "prflx") == 0)
    return _ ("the router’s address, as the other side sees it");
  if (g_strcmp0 (kind, "mapped") == 0)
    return _ ("a port that the router has opened");
  if (g_strcmp0 (kind, "relay") == 0)
    return _ ("a relay");
  return kind;
}

static char *
end_words (const char *kind, const char *address)
{
  if (kind == NULL || *kind == '\0')
    return g_strdup (address);
  /* Translators: a network address, and what it belongs to. */
  return g_strdup_printf (_ ("%s, %s"), address, kind_words (kind));
}

void
ph_transfer_path (const PhTransferView *view, GListStore *facts)
{
  g_autoptr (GListStore) fresh = g_list_store_new (PH_TYPE_DETAIL);

  if (view->path[0] != '\0') {
    ph_detail_add (fresh, _ ("Path"), ph_format_path (view->path));
    if (view->best_path[0] != '\0' && g_strcmp0 (view->best_path, view->path) != 0)
      ph_detail_add (fresh, _ ("Best path"), ph_format_path (view->best_path));
    if (g_strcmp0 (view->transport, "quic") == 0)
      ph_detail_add (fresh, _ ("Carried by"), "UDP (QUIC)");
    else if (g_strcmp0 (view->transport, "tls") == 0)
      ph_detail_add (fresh, _ ("Carried by"), "TCP (TLS 1.3)");
    ph_detail_add_take (fresh, _ ("This computer"), end_words (view->local_kind, view->local_addr));
    ph_detail_add_take (fresh, _ ("The other one"),
                        end_words (view->remote_kind, view->remote_addr));
    if (view->rtt_ms > 0)
      ph_detail_add_take (fresh, _ ("Round trip"),
                          /* Translators: milliseconds */
                          g_strdup_printf (_ ("%u ms"), view->rtt_ms));
    if (view->direct_ms >= 0)
      ph_detail_add_take (fresh, _ ("Direct path after"),
                          /* Translators: seconds, with one decimal */
                          g_strdup_printf (_ ("%.1f s"), (double)view->direct_ms / 1000));
  }
  ph_details_replace (facts, fresh);
}
