/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"
#include "app/engine/ph-core-probe.h"
#include "net/io/ph-clock.h"
#include "net/io/ph-system-random.h"

#include <glib/gi18n-lib.h>

PhTime
ph_core_now (PhCore *self)
{
  return ph_clock_now ();
}

int64_t
ph_core_unix_now (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

void
ph_core_emit (PhCore *self, PhEvent event)
{
  event.listener = self->telling;
  self->emit (&event, self->user_data);
}

/* --- Ends of commands --------------------------------------------------------------------------- */

void
ph_core_done (PhCore *self, uint32_t command, const GError *error, const char *text)
{
  const PhEvent event = {
      .type = PH_EVENT_DONE,
      .command = command,
      .error = error,
      .text = text,
  };

  if (command != 0)
    self->emit (&event, self->user_data);
}

void
ph_core_fail (PhCore *self, uint32_t command, PhEngineError code, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_autoptr (GError) error = g_error_new_valist (PH_ENGINE_ERROR, (int)code, format, args);
  va_end (args);
  ph_core_done (self, command, error, NULL);
}

/* --- Settling ----------------------------------------------------------------------------------- */

static void
arm (PhCore *self, PhTime now)
{
  const char *why = "";
  PhTime next = ph_endpoint_next_timeout (self->endpoint, &why);

  next = ph_time_min (next, ph_core_peers_next_timeout (self, now));
  next = ph_time_min (next, ph_core_transfers_next_timeout (self));
  next = ph_time_min (next, ph_core_stalled_next_timeout (self));
  next = ph_time_min (next, ph_core_offers_next_timeout (self, now));
  next = ph_time_min (next, ph_core_network_next_timeout (self));
  next = ph_time_min (next, ph_core_nat_next_timeout (self));
  next = ph_time_min (next, ph_core_probes_next_timeout (self));
  if (self->nearby != NULL)
    next = ph_time_min (next, ph_nearby_next_timeout (self->nearby, &why));
  next = ph_time_min (next, ph_core_portmap_next_timeout (self));
  self->armed = MAX (next, now);
  ph_timer_arm (self->timer, next);
}

void
ph_core_settle (PhCore *self)
{
  PhTime now;
  bool busy;

  /* A driver may tell something within a call that settling made: once more, then. */
  self->settle_again = true;
  if (self->settling)
    return;
  self->settling = true;
  now = ph_core_now (self);
  if (ph_time_since (now, self->armed) >= PH_CORE_SLEPT_MIN) {
    self->armed = PH_NEVER;
    ph_core_network_woke (self, now);
  }
  do {
    self->settle_again = false;
    /* Each looks at the clock anew: what the one before it set off may have, and time never goes back. */
    busy = ph_core_peers_settle (self, ph_core_now (self));
    ph_core_share_limit_down (self, ph_core_now (self));
    busy |= ph_core_network_transmit (self, ph_core_now (self));
    busy |= ph_core_nat_settle (self, ph_core_now (self));
    busy |= ph_core_relay_settle (self);
    busy |= ph_core_guess_settle (self);
    busy |= ph_core_nearby_settle (self, ph_core_now (self));
    busy |= ph_core_portmap_settle (self, ph_core_now (self));
  } while (busy || self->settle_again);
  now = ph_core_now (self);
  ph_core_network_look (self, now);
  ph_core_network_check_reports (self, now);
  ph_core_transfers_tell (self, now);
  arm (self, now);
  self->settling = false;
}

static void
timer_fired (void *user, PhTime now)
{
  PhCore *self = user;

  ph_endpoint_handle_timeout (self->endpoint, now);
  ph_core_nat_handle_timeout (self, now);
  ph_core_probes_handle_timeout (self, now);
  if (self->nearby != NULL)
    ph_nearby_handle_timeout (self->nearby, now);
  ph_core_portmap_handle_timeout (self, now);
  ph_core_peers_handle_timeout (self, now);
  ph_core_offers_handle_timeout (self, now);
  ph_core_stalled_handle_timeout (self, now);
  ph_core_settle (self);
}

void
ph_core_wake (void *core)
{
  g_source_set_ready_time (((PhCore *)core)->wake, 0);
}

static gboolean
worker_ready (gpointer user_data)
{
  PhCore *self = user_data;
  const PhTime now = ph_core_now (self);

  g_source_set_ready_time (self->wake, -1);
  ph_core_scans_check (self);
  ph_core_probes_sweep (self);
  for (guint i = 0; i < self->peers->len; i++) {
    PhPeer *peer = self->peers->pdata[i];

    if (peer->session != NULL)
      ph_session_storage_ready (peer->session, now);
  }
  ph_core_settle (self);
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_wake (GSource *source, GSourceFunc callback, gpointer user_data)
{
  return callback (user_data);
}

static GSourceFuncs wake_funcs = {.dispatch = dispatch_wake};

/* --- Life --------------------------------------------------------------------------------------- */

static void
trace_event (void *user, PhTime now, const char *module, const char *line)
{
  PhCore *self = user;
  g_autofree char *text = NULL;

  g_debug ("%s: %s", module, line);
  if (!self->explain)
    return;
  text = g_strdup_printf ("%.3f %s: %s", (double)(now / PH_MSEC) / 1000.0, module, line);

  const PhEvent event = {.type = PH_EVENT_EXPLAIN, .text = text};

  self->emit (&event, self->user_data);
}

PhCore *
ph_core_new (PhProfile *profile, PhCoreEmit emit, gpointer user_data)
{
  PhCore *self = g_new0 (PhCore, 1);
  g_autoptr (GError) error = NULL;

  self->profile = profile;
  self->emit = emit;
  self->user_data = user_data;
  self->random = ph_system_random ();
  self->trace = (PhTrace){trace_event, self};
  ph_random_bytes (&self->random, self->instance, sizeof self->instance);

  self->tls = ph_tls_identity_new (profile->identity.seed);
  self->timer = ph_timer_new (g_main_context_get_thread_default (), timer_fired, self);
  self->wake = g_source_new (&wake_funcs, sizeof (GSource));
  g_source_set_callback (self->wake, worker_ready, self, NULL);
  g_source_attach (self->wake, g_main_context_get_thread_default ());
  self->tx_buffer = g_malloc (PH_TRANSMIT_MAX);
  self->pool = ph_buf_pool_new (PH_CORE_POOL_BUF, PH_CORE_POOL_KEEP);

  PhEndpointConfig config = {
      .identity = self->tls,
      .random = self->random,
      .trace = self->trace,
  };

  memcpy (config.key, profile->identity.id.key, PH_KEY_LEN);
  self->endpoint = ph_endpoint_new (&config);
  self->sockets = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_udp_free);
  self->tcp_ports = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  self->lookups = g_ptr_array_new_with_free_func (g_free);
  self->stun_addrs = g_array_new (FALSE, TRUE, sizeof (PhAddr));
  ph_core_relay_init (self);
  self->mappers = g_ptr_array_new_with_free_func (ph_core_portmap_free_mapper);
  self->nat_wanted_since = PH_NEVER;
  self->rendezvous_rtt = self->stun_rtt = self->relay_rtt = PH_NEVER;
  self->network_at = PH_NEVER;
  self->armed = PH_NEVER;
  self->probes = ph_core_probes_new ();
  self->presence_by = PH_NEVER;
  self->reports = g_array_new (FALSE, TRUE, sizeof (PhReportWait));
  self->meetings = g_ptr_array_new_with_free_func (ph_meeting_free);
  self->pendings = g_ptr_array_new_with_free_func (ph_pending_free);
  self->peers = g_ptr_array_new_with_free_func (ph_peer_free);
  self->transfers = g_ptr_array_new_with_free_func (ph_transfer_free);
  self->scans = g_ptr_array_new_with_free_func (ph_scanning_free);
  self->jobs = g_ptr_array_new ();

  ph_pacer_init (&self->pacer);
  ph_core_settings_apply (self);
  if (!ph_store_expire (profile->store, ph_core_unix_now (), &error))
    g_debug ("store: %s", error->message);
  ph_core_peers_load (self);
  ph_core_transfers_load (self);
  return self;
}

void
ph_core_free (PhCore *self)
{
  const PhTime now = ph_core_now (self);

  ph_core_jobs_stop (self);
  if (!self->imported)
    ph_core_offers_stop (self);
  ph_core_peers_say_goodbye (self, now);
  ph_core_network_transmit (self, now);

  g_ptr_array_unref (self->probes);
  g_free (self->network);
  g_ptr_array_unref (self->scans);
  g_ptr_array_unref (self->peers); /* sessions, and with them sources and sinks */
  ph_pacer_clear (&self->pacer);
  g_ptr_array_unref (self->transfers);
  g_clear_pointer (&self->listed_names, ph_safe_names_free);
  g_clear_pointer (&self->listed_manifest, ph_manifest_unref);
  ph_core_meetings_stop (self);
  g_ptr_array_set_size (self->pendings, 0);
  g_ptr_array_unref (self->meetings);
  ph_core_network_stop (self);
  g_ptr_array_unref (self->pendings);
  g_ptr_array_unref (self->sockets);
  g_array_unref (self->tcp_ports);
  ph_tcp_free (self->tcp);
  g_ptr_array_unref (self->lookups);
  g_array_unref (self->stun_addrs);
  g_ptr_array_unref (self->relay_lookups);
  g_ptr_array_unref (self->relay_streams);
  g_ptr_array_unref (self->guess_sockets);
  g_ptr_array_unref (self->mappers);
  g_array_unref (self->reports);
  ph_endpoint_free (self->endpoint);
  g_source_destroy (self->wake);
  g_source_unref (self->wake);
  ph_timer_free (self->timer);
  ph_buf_pool_unref (self->pool);
  ph_tls_identity_unref (self->tls);
  g_free (self->tx_buffer);
  g_free (self);
}

/* Everything that a listener has to know before the changes make sense to it. */
static void
tell_all (PhCore *self, uint32_t listener)
{
  const PhEvent loaded = {.type = PH_EVENT_LOADED, .listener = listener};

  self->telling = listener;
  ph_core_tell_settings (self);
  ph_core_tell_status (self);
  for (guint i = 0; i < self->peers->len; i++)
    ph_core_tell_peer (self, self->peers->pdata[i]);
  ph_core_transfers_tell_unfinished (self, ph_core_now (self));
  ph_core_tell_network (self);
  self->telling = 0;
  self->emit (&loaded, self->user_data);
}

static void
connect_all (PhCore *self)
{
  if (self->connected) {
    ph_core_tell_status (self); /* somebody waits to hear it */
    return;
  }
  self->connected = true;
  ph_core_network_start (self);
  for (guint i = 0; i < self->peers->len; i++)
    ph_peer_connect (self->peers->pdata[i]);
  ph_core_meetings_start (self);
}

void
ph_core_disconnect (PhCore *self)
{
  const PhTime now = ph_core_now (self);

  ph_core_peers_say_goodbye (self, now);
  ph_core_network_transmit (self, now);
  ph_core_meetings_stop (self);
  self->connected = false;
  ph_core_nearby_update (self);
}

void
ph_core_run (PhCore *self, const PhCommand *command)
{
  if (self->imported && command->type != PH_COMMAND_TELL) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_FAILED,
                  _ ("The profile was replaced. Start Porthole again"));
    return;
  }
  switch (command->type) {
  case PH_COMMAND_TELL:
    tell_all (self, command->amount);
    break;
  case PH_COMMAND_CONNECT:
    connect_all (self);
    break;
  case PH_COMMAND_INVITE:
    ph_core_invite (self, command);
    break;
  case PH_COMMAND_WITHDRAW:
    ph_core_withdraw (self, command);
    break;
  case PH_COMMAND_LIST_INVITATIONS:
    ph_core_list_invitations (self, command);
    break;
  case PH_COMMAND_ADD:
    ph_core_add (self, command);
    break;
  case PH_COMMAND_RENAME:
    ph_core_rename_peer (self, command);
    break;
  case PH_COMMAND_REMOVE:
    ph_core_remove_peer (self, command);
    break;
  case PH_COMMAND_BLOCK:
    ph_core_block_peer (self, command);
    break;
  case PH_COMMAND_SEND:
    ph_core_send (self, command);
    break;
  case PH_COMMAND_ACCEPT:
    ph_core_accept (self, command);
    break;
  case PH_COMMAND_DECLINE:
    ph_core_decline (self, command);
    break;
  case PH_COMMAND_CANCEL:
    ph_core_cancel (self, command);
    break;
  case PH_COMMAND_PAUSE:
    ph_core_pause (self, command, true);
    break;
  case PH_COMMAND_RESUME:
    ph_core_pause (self, command, false);
    break;
  case PH_COMMAND_HISTORY:
    ph_core_load_history (self, command);
    break;
  case PH_COMMAND_GET_SETTING:
    ph_core_get_setting (self, command);
    break;
  case PH_COMMAND_SET_SETTING:
    ph_core_set_setting (self, command);
    break;
  case PH_COMMAND_NETWORK_REPORT:
    ph_core_network_report (self, command->number, command->amount);
    break;
  case PH_COMMAND_EXPLAIN:
    self->explain = command->flag;
    ph_core_done (self, command->number, NULL, NULL);
    break;
  case PH_COMMAND_AUTO_ACCEPT:
    ph_core_set_auto_accept (self, command);
    break;
  case PH_COMMAND_VERIFIED:
    ph_core_set_verified (self, command);
    break;
  case PH_COMMAND_DISMISS_ALERT:
    ph_core_dismiss_alert (self, command);
    break;
  case PH_COMMAND_SEND_AGAIN:
    ph_core_send_again (self, command);
    break;
  case PH_COMMAND_LIST_FILES:
    ph_core_list_files (self, command);
    break;
  case PH_COMMAND_FORGET:
    ph_core_forget (self, command);
    break;
  case PH_COMMAND_CHECK_NETWORK:
    ph_core_check_network (self, command);
    break;
  case PH_COMMAND_NAT_LIFETIME:
    ph_core_nat_lifetime (self, command);
    break;
  case PH_COMMAND_TEST_SERVER:
    ph_core_test_server (self, command);
    break;
  case PH_COMMAND_EXPORT:
    ph_core_export (self, command);
    break;
  case PH_COMMAND_IMPORT:
    ph_core_import (self, command);
    break;
  case PH_COMMAND_EXPLAIN_CONTACT:
    ph_core_explain_contact (self, command);
    break;
  case PH_COMMANDS:
    g_assert_not_reached ();
  }
  ph_core_settle (self);
}
