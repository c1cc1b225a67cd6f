/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-cli.h"

#include "app/cli/ph-words.h"
#include "app/engine/ph-remote.h"
#include "app/engine/ph-safe-name.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>

/* Shorter beginnings of a transfer's ID are more likely a mistake than a wish. */
#define TRANSFER_PREFIX_MIN 4

static void
contact_free (void *data)
{
  PhCliContact *contact = data;

  g_free (contact->id);
  g_free (contact->name);
  g_free (contact);
}

/* --- Life ---------------------------------------------------------------------------------------- */

static gboolean
interrupted (gpointer user)
{
  PhCli *cli = user;

  /* Asked twice: at once, without ceremony. */
  if (cli->interrupted)
    _exit (PH_EXIT_DECLINED);
  cli->interrupted = true;
  g_main_loop_quit (cli->loop);
  return G_SOURCE_CONTINUE;
}

void
ph_cli_init (PhCli *cli, const char *profile)
{
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

  *cli = (PhCli){.profile = profile, .status_told = PH_STATUS_CONNECTING};
  cli->loop = g_main_loop_new (NULL, FALSE);
  cli->contacts = g_ptr_array_new_with_free_func (contact_free);
  cli->transfers = g_ptr_array_new_with_free_func (g_free);
  for (size_t i = 0; i < G_N_ELEMENTS (signals); i++)
    cli->signal_sources[i] = g_unix_signal_add (signals[i], interrupted, cli);
}

void
ph_cli_clear (PhCli *cli)
{
  g_clear_pointer (&cli->engine, ph_engine_free);
  for (size_t i = 0; i < G_N_ELEMENTS (cli->signal_sources); i++)
    g_clear_handle_id (&cli->signal_sources[i], g_source_remove);
  g_clear_handle_id (&cli->timeout_source, g_source_remove);
  g_clear_pointer (&cli->loop, g_main_loop_unref);
  g_clear_pointer (&cli->contacts, g_ptr_array_unref);
  g_clear_pointer (&cli->transfers, g_ptr_array_unref);
  g_clear_error (&cli->error);
  g_clear_error (&cli->gone_error);
  g_clear_pointer (&cli->text, g_free);
}

/* --- Events -------------------------------------------------------------------------------------- */

static guint
contact_index (PhCli *cli, const char *id)
{
  guint i = 0;

  while (i < cli->contacts->len && strcmp (((PhCliContact *)cli->contacts->pdata[i])->id, id) != 0)
    i++;
  return i;
}

static void
note_contact (PhCli *cli, const PhContactView *view)
{
  guint i = contact_index (cli, view->id);
  PhCliContact *contact = g_new0 (PhCliContact, 1);

  contact->id = g_strdup (view->id);
  contact->name = g_strdup (view->name);
  contact->online = view->online;
  contact->blocked = view->blocked;
  contact->auto_accept = view->auto_accept;
  contact->added_at = view->added_at;
  if (i == cli->contacts->len) {
    g_ptr_array_add (cli->contacts, contact);
  } else {
    contact_free (cli->contacts->pdata[i]);
    cli->contacts->pdata[i] = contact;
  }
}

static void
forget_contact (PhCli *cli, const char *id)
{
  guint i = contact_index (cli, id);

  if (i < cli->contacts->len)
    g_ptr_array_remove_index (cli->contacts, i);
}

static const char *
status_word (PhStatus status)
{
  switch (status) {
  case PH_STATUS_NOT_CONFIGURED:
    return "not-configured";
  case PH_STATUS_CONNECTING:
    return "connecting";
  case PH_STATUS_ONLINE:
    return "online";
  case PH_STATUS_OFFLINE:
    return "offline";
  case PH_STATUS_REPLACED:
    return "replaced";
  default:
    return "unknown";
  }
}

static void
tell_status (const PhStatusView *view)
{
  JsonBuilder *object = ph_output_begin ("status");
  g_autofree char *address = ph_display_name (view->rendezvous);
  g_autofree char *reason = ph_words_message (view->reason);
  g_autofree char *wait = ph_words_duration (view->retry_ms / 1000.0);

  if (object != NULL) {
    ph_output_string (object, "status", status_word (view->status));
    ph_output_string (object, "rendezvous", view->rendezvous);
    ph_output_string (object, "reason", view->reason);
    ph_output_int (object, "retry_ms", view->retry_ms);
    ph_output_end (object);
    return;
  }
  switch (view->status) {
  case PH_STATUS_OFFLINE:
    ph_output_note (_ ("The meeting point %s cannot be reached: %s"), address, reason);
    if (view->retry_ms > 0)
      ph_output_note (_ ("Trying again in %s."), wait);
    break;
  case PH_STATUS_NOT_CONFIGURED:
    ph_output_note (
        _ ("No meeting point is known, so nobody can be found. Invitations carry one; your "
           "own is set by: porthole-cli config set rendezvous ADDRESS"));
    break;
  case PH_STATUS_REPLACED:
    ph_output_note (
        _ ("The same profile has come online elsewhere, and this one has stepped back."));
    break;
  case PH_STATUS_ONLINE:
  case PH_STATUS_CONNECTING:
  default:
    break;
  }
}

static void
note_status (PhCli *cli, const PhStatusView *view)
{
  /* Trying again is not news, and neither is being online when nothing else was ever said. */
  if (!cli->online || view->status == cli->status_told || view->status == PH_STATUS_CONNECTING)
    return;
  cli->status_told = view->status;
  tell_status (view);
}

static void
note_done (PhCli *cli, const PhEvent *event)
{
  if (event->command != cli->awaited || cli->done)
    return;
  cli->done = true;
  g_clear_error (&cli->error);
  g_free (cli->text);
  cli->error = event->error != NULL ? g_error_copy (event->error) : NULL;
  cli->text = g_strdup (event->text);
  g_main_loop_quit (cli->loop);
}

/* The process that did the work has ended. */
static void
note_gone (PhCli *cli, const PhEvent *event)
{
  cli->gone = true;
  g_clear_error (&cli->gone_error);
  cli->gone_error = g_error_copy (event->error);
  g_main_loop_quit (cli->loop);
}

static void
handle_event (const PhEvent *event, gpointer user)
{
  PhCli *cli = user;

  switch (event->type) {
  case PH_EVENT_LOADED:
    cli->loaded = true;
    g_main_loop_quit (cli->loop);
    break;
  case PH_EVENT_STATUS:
    note_status (cli, &event->status);
    break;
  case PH_EVENT_CONTACT:
    note_contact (cli, &event->contact);
    break;
  case PH_EVENT_CONTACT_REMOVED:
    forget_contact (cli, event->contact.id);
    break;
  case PH_EVENT_TRANSFER:
    if (!cli->loaded)
      g_ptr_array_add (cli->transfers, g_strdup (event->transfer.id));
    break;
  case PH_EVENT_DONE:
    note_done (cli, event);
    break;
  case PH_EVENT_GONE:
    note_gone (cli, event);
    break;
  case PH_EVENT_INVITATION:
  case PH_EVENT_EXPLAIN:
  default:
    break;
  }
  if (cli->on_event != NULL)
    cli->on_event (cli, event, cli->user);
}

/* --- Running ------------------------------------------------------------------------------------- */

bool
ph_cli_run (PhCli *cli)
{
  if (!cli->interrupted && !cli->timed_out && !cli->gone)
    g_main_loop_run (cli->loop);
  return !cli->interrupted && !cli->timed_out && !cli->gone;
}

void
ph_cli_quit (PhCli *cli)
{
  g_main_loop_quit (cli->loop);
}

PhExit
ph_cli_open (PhCli *cli)
{
  g_autoptr (GError) error = NULL;

  cli->engine = ph_engine_new (cli->profile, handle_event, cli, &error);
  /* The window has the profile: its engine does the same. */
  if (g_error_matches (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE))
    cli->engine = ph_engine_new_remote (cli->profile, handle_event, cli, NULL);
  if (cli->engine == NULL)
    return ph_cli_fail (error);
  while (!cli->loaded)
    if (!ph_cli_run (cli))
      return cli->gone ? ph_cli_fail (cli->gone_error) : PH_EXIT_DECLINED;
  return PH_EXIT_DONE;
}

PhExit
ph_cli_open_online (PhCli *cli)
{
  PhExit status = ph_cli_open (cli);

  if (status == PH_EXIT_DONE) {
    cli->online = true;
    ph_engine_connect (cli->engine);
  }
  return status;
}

static gboolean
time_is_up (gpointer user)
{
  PhCli *cli = user;

  cli->timeout_source = 0;
  cli->timed_out = true;
  g_main_loop_quit (cli->loop);
  return G_SOURCE_REMOVE;
}

void
ph_cli_set_timeout (PhCli *cli, int seconds)
{
  g_clear_handle_id (&cli->timeout_source, g_source_remove);
  if (seconds > 0)
    cli->timeout_source = g_timeout_add_seconds ((guint)seconds, time_is_up, cli);
}

PhExit
ph_cli_wait (PhCli *cli, uint32_t command)
{
  cli->awaited = command;
  cli->done = false;
  while (!cli->done)
    if (!ph_cli_run (cli)) {
      if (cli->done)
        break;
      if (cli->gone)
        return ph_cli_fail (cli->gone_error);
      if (cli->timed_out)
        return ph_output_fail (PH_EXIT_TIMED_OUT, "timed-out", _ ("Given up: the time is over."));
      return ph_output_fail (PH_EXIT_DECLINED, "cancelled", _ ("Stopped."));
    }
  return cli->error != NULL ? ph_cli_fail (cli->error) : PH_EXIT_DONE;
}

/* --- Finding ------------------------------------------------------------------------------------- */

/* Device IDs are shown in groups; people type them as they like. */
static char *
bare_id (const char *text)
{
  GString *bare = g_string_new (NULL);

  for (const char *p = text; *p != '\0'; p++)
    if (g_ascii_isalnum (*p))
      g_string_append_c (bare, g_ascii_toupper (*p));
  return g_string_free_and_steal (bare);
}

typedef enum { MATCH_EXACT_NAME, MATCH_ID, MATCH_FOLDED_NAME, MATCH_KINDS } Match;

static bool
contact_matches (const PhCliContact *contact, const char *text, Match kind)
{
  g_autofree char *a = NULL;
  g_autofree char *b = NULL;

  if (kind == MATCH_EXACT_NAME)
    return strcmp (contact->name, text) == 0;
  a = kind == MATCH_ID ? bare_id (contact->id) : g_utf8_casefold (contact->name, -1);
  b = kind == MATCH_ID ? bare_id (text) : g_utf8_casefold (text, -1);
  return strcmp (a, b) == 0;
}

static const PhCliContact *
unknown_contact (PhCli *cli, const char *text)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *shown = ph_display_name (text);
  g_autofree char *near = NULL;

  for (guint i = 0; i < cli->contacts->len; i++)
    g_ptr_array_add (names, ((PhCliContact *)cli->contacts->pdata[i])->name);
  g_ptr_array_add (names, NULL);
  near = ph_words_nearest (text, (const char *const *)names->pdata);
  if (near != NULL)
    ph_output_fail (PH_EXIT_FAILED, "unknown-contact",
                    _ ("There is no contact “%s”. Did you mean %s?"), shown, near);
  else if (cli->contacts->len > 0)
    ph_output_fail (PH_EXIT_FAILED, "unknown-contact",
                    _ ("There is no contact “%s”. The list of them: porthole-cli contacts"), shown);
  else
    ph_output_fail (
        PH_EXIT_FAILED, "unknown-contact",
        _ ("There is no contact “%s”, and no other either. To add somebody: porthole-cli "
           "invite, or porthole-cli add LINK"),
        shown);
  return NULL;
}

const PhCliContact *
ph_cli_find_contact (PhCli *cli, const char *text)
{
  if (!g_utf8_validate (text, -1, NULL))
    return unknown_contact (cli, text);
  for (Match kind = 0; kind < MATCH_KINDS; kind++) {
    const PhCliContact *found = NULL;

    for (guint i = 0; i < cli->contacts->len; i++) {
      const PhCliContact *contact = cli->contacts->pdata[i];

      if (!contact_matches (contact, text, kind))
        continue;
      if (found != NULL) {
        g_autofree char *shown = ph_display_name (text);

        ph_output_fail (PH_EXIT_FAILED, "unknown-contact",
                        _ ("Several contacts are called “%s”. Give the ID of the one you mean: "
                           "porthole-cli contacts"),
                        shown);
        return NULL;
      }
      found = contact;
    }
    if (found != NULL)
      return found;
  }
  return unknown_contact (cli, text);
}

const char *
ph_cli_find_transfer (PhCli *cli, const char *text)
{
  g_autofree char *lower = g_ascii_strdown (text, -1);
  g_autofree char *shown = ph_display_name (text);
  const char *found = NULL;
  bool several = false;

  for (guint i = 0; i < cli->transfers->len; i++) {
    const char *id = cli->transfers->pdata[i];

    if (strlen (lower) < TRANSFER_PREFIX_MIN || !g_str_has_prefix (id, lower))
      continue;
    several = found != NULL;
    found = id;
  }
  if (found != NULL && !several)
    return found;
  if (several)
    ph_output_fail (
        PH_EXIT_FAILED, "unknown-transfer",
        _ ("Several transfers begin with “%s”. Give more of the ID: porthole-cli transfers"),
        shown);
  else
    ph_output_fail (
        PH_EXIT_FAILED, "unknown-transfer",
        _ ("No unfinished transfer is called “%s”. The list of them: porthole-cli transfers"),
        shown);
  return NULL;
}

bool
ph_cli_knew_transfer (const PhCli *cli, const char *id)
{
  return g_ptr_array_find_with_equal_func (cli->transfers, id, g_str_equal, NULL);
}

/* --- Errors -------------------------------------------------------------------------------------- */

PhExit
ph_cli_exit_of (int engine_error)
{
  switch ((PhEngineError)engine_error) {
  case PH_ENGINE_ERROR_DECLINED:
  case PH_ENGINE_ERROR_CANCELLED:
    return PH_EXIT_DECLINED;
  case PH_ENGINE_ERROR_TIMED_OUT:
    return PH_EXIT_TIMED_OUT;
  default:
    return PH_EXIT_FAILED;
  }
}

PhExit
ph_cli_fail (const GError *error)
{
  g_autofree char *message = ph_words_message (error->message);
  bool ours = error->domain == PH_ENGINE_ERROR;

  return ph_output_fail (ours ? ph_cli_exit_of (error->code) : PH_EXIT_FAILED,
                         ours ? ph_engine_error_code (error->code) : "failed", "%s", message);
}
