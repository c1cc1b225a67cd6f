/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-follow.h"

#include "app/cli/ph-words.h"
#include "app/engine/ph-safe-name.h"

#include <glib/gi18n.h>

/* Five times a second is smooth to the eye and no load to the terminal. */
#define PROGRESS_INTERVAL_US (200 * 1000)
/* In a log, one line for so many per cent. */
#define PERCENT_STEP 10

PhFollow *
ph_follow_new (const char *id)
{
  PhFollow *self = g_new0 (PhFollow, 1);

  self->id = g_strdup (id);
  return self;
}

void
ph_follow_free (PhFollow *self)
{
  if (self == NULL)
    return;
  g_free (self->id);
  g_free (self->path);
  g_free (self->message);
  g_free (self->trouble);
  g_free (self);
}

/* --- Under way ----------------------------------------------------------------------------------- */

G_GNUC_PRINTF (2, 3)
static void
tell (const PhFollow *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (self->one_of_many)
    ph_output_note ("%.8s: %s", self->id, text);
  else
    ph_output_note ("%s", text);
}

static void
tell_state (const PhFollow *self, const PhTransferView *view)
{
  g_autofree char *name = ph_display_name (view->contact_name);
  bool sends = view->direction == PH_DIRECTION_SEND;

  switch (view->state) {
  case PH_TRANSFER_WAITING:
    if (view->code[0] == '\0') /* else the reason is told */
      tell (self, _ ("Waiting for %s."), name);
    break;
  case PH_TRANSFER_CONNECTING:
    tell (self, _ ("Connecting to %s."), name);
    break;
  case PH_TRANSFER_OFFERED:
    if (sends)
      tell (self, _ ("Offered; waiting for %s to accept."), name);
    break;
  case PH_TRANSFER_ACTIVE:
    if (sends)
      tell (self, _ ("%s has accepted."), name);
    break;
  case PH_TRANSFER_PAUSED:
    tell (self,
          view->paused_here ? _ ("Paused. To go on: porthole-cli resume %.8s")
                            : _ ("Paused by the other side (%.8s)."),
          view->id);
    break;
  case PH_TRANSFER_CHECKING:
    tell (self, _ ("All bytes are there; checking."));
    break;
  case PH_TRANSFER_PREPARING:
  case PH_TRANSFER_DONE:
  case PH_TRANSFER_DECLINED:
  case PH_TRANSFER_CANCELLED:
  case PH_TRANSFER_FAILED:
  default:
    break;
  }
}

static void
tell_path (PhFollow *self, const PhTransferView *view)
{
  g_autofree char *path = g_strjoin (" ", view->path, view->transport, view->local_kind,
                                     view->remote_kind, view->local_addr, view->remote_addr, NULL);
  JsonBuilder *object;

  if (view->path[0] == '\0' || g_strcmp0 (path, self->path) == 0)
    return;
  g_free (self->path);
  self->path = g_steal_pointer (&path);
  object = ph_output_begin ("path");
  if (object == NULL) {
    const char *words = ph_words_path (view->path);

    tell (self, _ ("Path: %s (%s, %s)."), words != NULL ? words : view->path, view->transport,
          view->remote_addr);
    return;
  }
  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "path", view->path);
  ph_output_string (object, "transport", view->transport);
  ph_output_string (object, "local", view->local_kind);
  ph_output_string (object, "remote", view->remote_kind);
  ph_output_string (object, "local_address", view->local_addr);
  ph_output_string (object, "remote_address", view->remote_addr);
  ph_output_int (object, "rtt_ms", view->rtt_ms);
  ph_output_end (object);
}

/* What the person should know although all goes well, such as files that were left out. */
static void
tell_message (PhFollow *self, const PhTransferView *view)
{
  g_autofree char *message = ph_words_message (view->message);
  JsonBuilder *object;

  if (message[0] == '\0' || view->code[0] != '\0' || g_strcmp0 (message, self->message) == 0)
    return;
  g_free (self->message);
  self->message = g_steal_pointer (&message);
  object = ph_output_begin ("warning");
  if (object == NULL) {
    tell (self, "%s", self->message);
    return;
  }
  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "message", self->message);
  ph_output_end (object);
}

/* What is in the way of a transfer that goes on by itself once that is over. */
static void
tell_trouble (PhFollow *self, const PhTransferView *view)
{
  g_autofree char *message = ph_words_message (view->message);
  JsonBuilder *object;

  if ((view->state != PH_TRANSFER_WAITING && view->state != PH_TRANSFER_PAUSED)
      || view->code[0] == '\0') {
    g_clear_pointer (&self->trouble, g_free);
    return;
  }
  if (g_strcmp0 (message, self->trouble) == 0)
    return;
  g_free (self->trouble);
  self->trouble = g_steal_pointer (&message);
  object = ph_output_begin ("waiting");
  if (object == NULL) {
    tell (self, "%s", self->trouble);
    return;
  }
  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "code", view->code);
  ph_output_string (object, "message", self->trouble);
  ph_output_int (object, "retry_ms", view->retry_ms);
  ph_output_end (object);
}

static unsigned
percent_of (const PhTransferView *view)
{
  if (view->bytes_total == 0)
    return 100;
  return (unsigned)((double)MIN (view->bytes_done, view->bytes_total) * 100.0
                    / (double)view->bytes_total);
}

/* "42 %  430 MB of 1.0 GB  210 MB/s  3 s left  direct over UDP" */
static char *
progress_words (const PhTransferView *view)
{
  g_autofree char *done = g_format_size (view->bytes_done);
  g_autofree char *total = g_format_size (view->bytes_total);
  g_autoptr (GString) line = g_string_new (NULL);
  const char *path = ph_words_path (view->path);

  /* Translators: per cent, bytes done, bytes in all, as in "42 %  430 MB of 1.0 GB" */
  g_string_append_printf (line, _ ("%u %%  %s of %s"), percent_of (view), done, total);
  if (view->rate > 0 && view->bytes_done < view->bytes_total) {
    g_autofree char *rate = ph_words_rate ((double)view->rate);
    g_autofree char *left =
        ph_words_duration ((double)(view->bytes_total - view->bytes_done) / (double)view->rate);

    /* Translators: speed, and how long it will go on, as in "210 MB/s  3 s left" */
    g_string_append_printf (line, _ ("  %s  %s left"), rate, left);
  }
  if (path != NULL)
    g_string_append_printf (line, "  %s", path);
  return g_string_free_and_steal (g_steal_pointer (&line));
}

static void
tell_progress (PhFollow *self, const PhTransferView *view)
{
  gint64 now = g_get_monotonic_time ();
  unsigned percent = percent_of (view);
  JsonBuilder *object;
  g_autofree char *words = NULL;

  if (view->state != PH_TRANSFER_ACTIVE && view->state != PH_TRANSFER_CHECKING)
    return;
  if (self->started && view->bytes_done < view->bytes_total
      && now - self->shown_us < PROGRESS_INTERVAL_US)
    return;
  if (self->started && view->bytes_done == self->bytes && !ph_output_has_progress ())
    return;
  self->started = true;
  self->shown_us = now;
  self->bytes = view->bytes_done;

  object = ph_output_begin ("progress");
  if (object != NULL) {
    ph_output_string (object, "transfer", view->id);
    ph_output_int (object, "bytes", (int64_t)view->bytes_done);
    ph_output_int (object, "total", (int64_t)view->bytes_total);
    ph_output_int (object, "rate", (int64_t)view->rate);
    ph_output_end (object);
    return;
  }
  words = progress_words (view);
  if (ph_output_has_progress ()) {
    g_autofree char *line =
        self->one_of_many ? g_strdup_printf ("%.8s: %s", self->id, words) : g_strdup (words);

    ph_output_progress (line);
  } else if (percent >= self->percent + PERCENT_STEP) {
    self->percent = percent - percent % PERCENT_STEP;
    tell (self, "%s", words);
  }
}

/* --- The end ------------------------------------------------------------------------------------- */

static void
tell_success_json (const PhTransferView *view)
{
  bool sent = view->direction == PH_DIRECTION_SEND;
  JsonBuilder *object = ph_output_begin (sent ? "delivered" : "received");

  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, sent ? "to" : "from", view->contact_name);
  ph_output_string (object, "contact", view->contact);
  ph_output_int (object, "files", view->files);
  ph_output_int (object, "bytes", (int64_t)view->bytes_total);
  json_builder_set_member_name (object, "seconds");
  json_builder_add_double_value (object, view->duration_ms / 1000.0);
  ph_output_int_or_null (object, "first_byte_ms", view->first_byte_ms);
  ph_output_string (object, "path", view->path);
  ph_output_string (object, "best_path", view->best_path);
  ph_output_int_or_null (object, "direct_ms", view->direct_ms);
  ph_output_string (object, "transport", view->transport);
  ph_output_string (object, "local", view->local_kind);
  ph_output_string (object, "remote", view->remote_kind);
  ph_output_int (object, "rtt_ms", view->rtt_ms);
  if (!sent) {
    ph_output_string (object, "folder", view->folder);
    ph_output_strings (object, "names", view->names);
  }
  ph_output_end (object);
}

static void
tell_success (const PhFollow *self, const PhTransferView *view)
{
  g_autofree char *amount = ph_words_amount (view->files, view->bytes_total);
  g_autofree char *took = ph_words_duration (view->duration_ms / 1000.0);
  g_autofree char *rate =
      ph_words_rate ((double)(view->bytes_total - MIN (self->bytes_before, view->bytes_total))
                     * 1000.0 / MAX (view->duration_ms, 1));
  g_autofree char *name = ph_display_name (view->contact_name);
  g_autofree char *folder = ph_display_name (view->folder);
  const char *path = ph_words_path (view->path);

  if (ph_output_is_json ()) {
    tell_success_json (view);
    return;
  }
  ph_output_progress (NULL);
  if (view->direction == PH_DIRECTION_SEND)
    /* Translators: whom, how much ("3 files, 1.0 GB"), how long, how fast */
    ph_output_line (_ ("Delivered to %s: %s in %s (%s)"), name, amount, took, rate);
  else
    /* Translators: from whom, how much ("3 files, 1.0 GB"), how long, how fast, into which folder */
    ph_output_line (_ ("Received from %s: %s in %s (%s), now in %s"), name, amount, took, rate,
                    folder);
  if (path != NULL && view->first_byte_ms >= 0)
    ph_output_note (_ ("The bytes went %s; the first was written after %d ms."), path,
                    view->first_byte_ms);
}

static void
tell_failure (const PhTransferView *view)
{
  JsonBuilder *object = ph_output_begin ("failed");
  g_autofree char *message = ph_words_message (view->message);
  const char *words = message[0] != '\0' ? message : ph_words_state (view->state, view->direction);
  const char *code = view->code;

  if (code[0] == '\0')
    code = view->state == PH_TRANSFER_DECLINED    ? "declined"
           : view->state == PH_TRANSFER_CANCELLED ? "cancelled"
                                                  : "failed";
  if (object == NULL) {
    /* What this person did themselves is no error. */
    if (view->state == PH_TRANSFER_DECLINED && view->direction == PH_DIRECTION_RECEIVE)
      ph_output_note (_ ("Declined."));
    else
      ph_output_note ("porthole-cli: %s", words);
    return;
  }
  ph_output_string (object, "transfer", view->id);
  ph_output_string (object, "code", code);
  ph_output_string (object, "message", words);
  ph_output_end (object);
}

static void
tell_end (PhFollow *self, const PhTransferView *view)
{
  self->ended = true;
  switch (view->state) {
  case PH_TRANSFER_DONE:
    tell_success (self, view);
    self->status = PH_EXIT_DONE;
    return;
  case PH_TRANSFER_DECLINED:
  case PH_TRANSFER_CANCELLED:
    self->status = PH_EXIT_DECLINED;
    break;
  default:
    self->status = g_strcmp0 (view->code, "timed-out") == 0 ? PH_EXIT_TIMED_OUT : PH_EXIT_FAILED;
  }
  tell_failure (view);
}

void
ph_follow_show (PhFollow *self, const PhTransferView *view)
{
  if (self->ended)
    return;
  if (!self->started)
    self->bytes_before = view->bytes_done;
  self->stalled = view->state == PH_TRANSFER_PAUSED && view->paused_here && view->code[0] != '\0';
  tell_trouble (self, view);
  if (view->state != self->state)
    tell_state (self, view);
  self->state = view->state;
  tell_message (self, view);
  tell_path (self, view);
  tell_progress (self, view);
  if (ph_transfer_state_ended (view->state))
    tell_end (self, view);
}
