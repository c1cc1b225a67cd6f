/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An engine that only plays: ph-engine.h without a profile, a thread or a network, for tests of the command
 * line. What happens depends on who is written to (the contacts below) and on the environment:
 *
 *   FAKE_OFFERS=N      after going online, N offers come (the second one from somebody with a nasty name)
 *   FAKE_NO_CONTACTS   nobody is known
 *   FAKE_STATUS        "offline" or "none" (no meeting point)
 *   FAKE_ACCEPT_ERROR  offers cannot be taken: no space
 *   FAKE_WITHDRAW      offers are withdrawn right after they came
 *   FAKE_LOG           commands are written to this file, one a line
 *
 * A profile named "in-use" is in use. */

#include "app/engine/ph-engine.h"
#include "app/engine/ph-remote.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES 1000000000u

/* How a transfer with this contact goes. */
typedef enum {
  FATE_DELIVERED,
  FATE_DECLINED,
  FATE_WAITS, /* never comes online */
  FATE_STALLS, /* stays half way */
  FATE_FAILS, /* half way */
  FATE_NO_FILE, /* its files cannot be read: the command fails */
} Fate;

typedef struct {
  const char *id;
  const char *name;
  Fate fate;
  bool blocked;
} FakeContact;

static const FakeContact contacts[] = {
    {"AAAA-1111", "Anna", FATE_DELIVERED, false},
    {"BBBB-2222", "Bernd", FATE_DECLINED, false},
    {"CCCC-3333", "Clara", FATE_WAITS, false},
    {"DDDD-4444", "Dora", FATE_FAILS, false},
    {"EEEE-5555", "Emil", FATE_DELIVERED, true},
    {"FFFF-6666", "Zoe", FATE_DELIVERED, false},
    {"GGGG-7777", "Zoe", FATE_STALLS, false},
    {"HHHH-8888", "Nasty\033[31m\xe2\x80\xae", FATE_NO_FILE, false},
};

static const char *const keys[] = {"name", "rendezvous", "stun", "turn", "download-dir", NULL};
static const char *const names[] = {"photos", "evil\033]0;x\007.txt", NULL};

typedef struct {
  PhEngine *engine;
  char id[33];
  const FakeContact *contact;
  PhTransferView view;
} FakeTransfer;

struct _PhEngine {
  PhEventFunc func;
  gpointer user;
  uint32_t last_command;
  GHashTable *transfers; /* id -> FakeTransfer */
  GHashTable *sources; /* GSource, set */
  bool explain;
};

/* --- Later --------------------------------------------------------------------------------------- */

typedef struct {
  PhEngine *engine;
  PhEvent event;
  GError *error;
  char *text;
  FakeTransfer *transfer;
  void (*run) (PhEngine *engine, FakeTransfer *transfer);
  GSource *source;
} Step;

static gboolean
step_run (gpointer data)
{
  Step *step = data;
  PhEngine *engine = step->engine;

  g_hash_table_steal (engine->sources, step->source);
  if (step->run != NULL) {
    step->run (engine, step->transfer);
  } else {
    if (step->transfer != NULL)
      step->event.transfer = step->transfer->view;
    step->event.error = step->error;
    step->event.text = step->text;
    engine->func (&step->event, engine->user);
  }
  g_source_unref (step->source);
  return G_SOURCE_REMOVE;
}

static void
step_free (gpointer data)
{
  Step *step = data;

  g_clear_error (&step->error);
  g_free (step->text);
  g_free (step);
}

/* Everything comes from the main loop, in the order it was asked for. */
static Step *
later (PhEngine *self, PhEventType type)
{
  Step *step = g_new0 (Step, 1);

  step->engine = self;
  step->event.type = type;
  step->source = g_idle_source_new ();
  g_source_set_callback (step->source, step_run, step, step_free);
  g_source_attach (step->source, NULL);
  g_hash_table_add (self->sources, step->source);
  return step;
}

static uint32_t
done (PhEngine *self, const char *text)
{
  Step *step = later (self, PH_EVENT_DONE);

  step->event.command = ++self->last_command;
  step->text = g_strdup (text);
  return step->event.command;
}

static uint32_t
failed (PhEngine *self, int code, const char *message)
{
  Step *step = later (self, PH_EVENT_DONE);

  step->event.command = ++self->last_command;
  step->error = g_error_new_literal (PH_ENGINE_ERROR, code, message);
  return step->event.command;
}

G_GNUC_PRINTF (1, 2)
static void
note (const char *format, ...)
{
  const char *path = g_getenv ("FAKE_LOG");
  FILE *file = path != NULL ? fopen (path, "a") : NULL;
  va_list args;

  if (file == NULL)
    return;
  va_start (args, format);
  vfprintf (file, format, args);
  va_end (args);
  fputc ('\n', file);
  fclose (file);
}

/* --- Transfers ----------------------------------------------------------------------------------- */

static FakeTransfer *
transfer_new (PhEngine *self, const char *id, const FakeContact *contact, PhDirection direction,
              PhTransferState state)
{
  FakeTransfer *transfer = g_new0 (FakeTransfer, 1);

  g_strlcpy (transfer->id, id, sizeof transfer->id);
  transfer->engine = self;
  transfer->contact = contact;
  transfer->view = (PhTransferView){
      .id = transfer->id,
      .contact = contact->id,
      .contact_name = contact->name,
      .direction = direction,
      .state = state,
      .names = names,
      .files = 3,
      .bytes_total = FILE_BYTES,
      .created_at = 1700000000,
      .first_byte_ms = -1,
      .direct_ms = -1,
      .folder = direction == PH_DIRECTION_RECEIVE ? "/downloads" : "",
      .path = "",
      .best_path = "",
      .transport = "",
      .local_kind = "",
      .remote_kind = "",
      .local_addr = "",
      .remote_addr = "",
      .code = "",
      .message = "",
  };
  g_hash_table_insert (self->transfers, transfer->id, transfer);
  return transfer;
}

static void
told (FakeTransfer *transfer)
{
  PhEvent event = {.type = PH_EVENT_TRANSFER, .transfer = transfer->view};

  transfer->engine->func (&event, transfer->engine->user);
}

static void advance (PhEngine *self, FakeTransfer *transfer);

static void
advance_later (FakeTransfer *transfer)
{
  Step *step = later (transfer->engine, PH_EVENT_TRANSFER);

  step->transfer = transfer;
  step->run = advance;
}

static void
end (FakeTransfer *transfer, PhTransferState state, const char *code, const char *message)
{
  transfer->view.state = state;
  transfer->view.code = code;
  transfer->view.message = message;
}

static void
advance_active (FakeTransfer *transfer)
{
  PhTransferView *view = &transfer->view;

  if (view->bytes_done == 0) {
    view->path = view->best_path = "relay";
    view->transport = "quic";
    view->local_kind = "relay";
    view->remote_kind = "srflx";
    view->remote_addr = "203.0.113.7:5000";
    view->first_byte_ms = 42;
  } else if (view->bytes_done == FILE_BYTES / 2) {
    view->path = view->best_path = "udp";
    view->local_kind = "srflx";
    view->direct_ms = 900;
    view->rtt_ms = 12;
    if (transfer->contact->fate == FATE_FAILS) {
      end (transfer, PH_TRANSFER_FAILED, "unreachable", "no path to Dora was found");
      return;
    }
  }
  view->rate = 250000000;
  view->bytes_done += FILE_BYTES / 20;
  if (view->bytes_done > FILE_BYTES) {
    view->bytes_done = FILE_BYTES;
    view->state = PH_TRANSFER_CHECKING;
  }
}

static void
advance (PhEngine *self, FakeTransfer *transfer)
{
  PhTransferView *view = &transfer->view;

  switch (view->state) {
  case PH_TRANSFER_PREPARING:
    view->state = PH_TRANSFER_WAITING;
    view->message = "1 item was left out";
    break;
  case PH_TRANSFER_WAITING:
    if (transfer->contact->fate == FATE_WAITS && view->code[0] != '\0')
      return;
    if (transfer->contact->fate == FATE_WAITS) {
      view->code = "unreachable";
      view->message = "No path to Clara was found. Trying again in 3 s";
      view->retry_ms = 2900;
      break;
    }
    view->state = PH_TRANSFER_OFFERED;
    break;
  case PH_TRANSFER_OFFERED:
    if (transfer->contact->fate == FATE_DECLINED)
      end (transfer, PH_TRANSFER_DECLINED, "declined", "Bernd does not want it");
    else
      view->state = PH_TRANSFER_ACTIVE;
    break;
  case PH_TRANSFER_ACTIVE:
    if (transfer->contact->fate == FATE_STALLS && view->bytes_done >= FILE_BYTES / 2)
      return;
    advance_active (transfer);
    break;
  case PH_TRANSFER_CHECKING:
    view->state = PH_TRANSFER_DONE;
    view->duration_ms = 4001;
    break;
  default:
    return;
  }
  if (self->explain) {
    PhEvent event = {.type = PH_EVENT_EXPLAIN, .text = "ice: pair nominated"};

    self->func (&event, self->user);
  }
  told (transfer);
  if (!ph_transfer_state_ended (view->state))
    advance_later (transfer);
}

/* --- The engine ---------------------------------------------------------------------------------- */

G_DEFINE_QUARK (ph - engine - error - quark, ph_engine_error)

const char *
ph_engine_error_code (int code)
{
  switch (code) {
  case PH_ENGINE_ERROR_PROFILE_IN_USE:
    return "profile-in-use";
  case PH_ENGINE_ERROR_NO_RENDEZVOUS:
    return "no-rendezvous";
  case PH_ENGINE_ERROR_BAD_INVITATION:
    return "bad-invitation";
  case PH_ENGINE_ERROR_BAD_VALUE:
    return "bad-value";
  case PH_ENGINE_ERROR_NO_SPACE:
    return "no-space";
  case PH_ENGINE_ERROR_FILES:
    return "files";
  default:
    return "failed";
  }
}

const char *const *
ph_engine_setting_keys (void)
{
  return keys;
}

static void
tell_contact (PhEngine *self, const FakeContact *contact)
{
  Step *step = later (self, PH_EVENT_CONTACT);

  step->event.contact = (PhContactView){.id = contact->id,
                                        .name = contact->name,
                                        .blocked = contact->blocked,
                                        .added_at = 1700000000};
}

PhEngine *
ph_engine_new (const char *dir, PhEventFunc func, gpointer user_data, GError **error)
{
  PhEngine *self;

  if (dir != NULL && g_str_has_suffix (dir, "in-use")) {
    g_set_error_literal (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE,
                         "The profile is in use.");
    return NULL;
  }
  self = g_new0 (PhEngine, 1);
  self->func = func;
  self->user = user_data;
  self->transfers = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  self->sources = g_hash_table_new (NULL, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (contacts) && g_getenv ("FAKE_NO_CONTACTS") == NULL; i++)
    tell_contact (self, &contacts[i]);
  if (g_getenv ("FAKE_NO_CONTACTS") == NULL) {
    FakeTransfer *paused =
        transfer_new (self, "abcd1111", &contacts[0], PH_DIRECTION_SEND, PH_TRANSFER_PAUSED);

    paused->view.bytes_done = FILE_BYTES / 2;
    later (self, PH_EVENT_TRANSFER)->transfer = paused;
    later (self, PH_EVENT_TRANSFER)->transfer =
        transfer_new (self, "abcd2222", &contacts[2], PH_DIRECTION_SEND, PH_TRANSFER_WAITING);
  }
  later (self, PH_EVENT_LOADED);
  note ("open %s", dir != NULL ? dir : "-");
  return self;
}

void
ph_engine_free (PhEngine *self)
{
  GHashTableIter iter;
  gpointer source;

  if (self == NULL)
    return;
  g_hash_table_iter_init (&iter, self->sources);
  while (g_hash_table_iter_next (&iter, &source, NULL)) {
    g_source_destroy (source);
    g_source_unref (source);
  }
  g_hash_table_unref (self->sources);
  g_hash_table_unref (self->transfers);
  g_free (self);
  note ("close");
}

PhEngine *
ph_engine_new_remote (const char *dir, PhEventFunc func, gpointer user_data, GError **error)
{
  return NULL;
}

bool
ph_engine_is_remote (const PhEngine *self)
{
  return false;
}

const char *
ph_engine_device_id (const PhEngine *self)
{
  return "MMMM-9999";
}

static void
make_offers (PhEngine *self, FakeTransfer *unused)
{
  int n = g_getenv ("FAKE_OFFERS") != NULL ? atoi (g_getenv ("FAKE_OFFERS")) : 0;

  for (int i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf ("0ffe%04d", i);
    FakeTransfer *transfer = transfer_new (self, id, &contacts[i % 2 == 0 ? 0 : 7],
                                           PH_DIRECTION_RECEIVE, PH_TRANSFER_OFFERED);

    later (self, PH_EVENT_TRANSFER)->transfer = transfer;
  }
}

static void
withdraw (PhEngine *self, FakeTransfer *transfer)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->transfers);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    FakeTransfer *each = value;

    if (each->view.direction == PH_DIRECTION_RECEIVE) {
      end (each, PH_TRANSFER_CANCELLED, "cancelled", "Anna has withdrawn it");
      told (each);
    }
  }
}

void
ph_engine_connect (PhEngine *self)
{
  const char *status = g_getenv ("FAKE_STATUS");
  Step *step = later (self, PH_EVENT_STATUS);

  step->event.status =
      (PhStatusView){.status = PH_STATUS_ONLINE, .rendezvous = "ws://x", .reason = ""};
  if (g_strcmp0 (status, "offline") == 0)
    step->event.status = (PhStatusView){.status = PH_STATUS_OFFLINE,
                                        .rendezvous = "ws://x",
                                        .reason = "connection refused",
                                        .retry_ms = 2500};
  else if (g_strcmp0 (status, "none") == 0)
    step->event.status =
        (PhStatusView){.status = PH_STATUS_NOT_CONFIGURED, .rendezvous = "", .reason = ""};
  later (self, PH_EVENT_TRANSFER)->run = make_offers;
  if (g_getenv ("FAKE_WITHDRAW") != NULL) {
    Step *last = later (self, PH_EVENT_TRANSFER);

    last->run = withdraw;
    g_source_set_priority (last->source, G_PRIORITY_LOW);
  }
  note ("connect");
}

uint32_t
ph_engine_invite (PhEngine *self, const char *name)
{
  Step *step;

  note ("invite %s", name != NULL ? name : "-");
  if (g_strcmp0 (g_getenv ("FAKE_STATUS"), "none") == 0)
    return failed (self, PH_ENGINE_ERROR_NO_RENDEZVOUS, "No meeting point is configured.");
  step = later (self, PH_EVENT_INVITATION);
  step->text = g_strdup ("porthole:invitation");
  if (g_getenv ("FAKE_UNUSED") != NULL)
    return ++self->last_command;
  return done (self, "AAAA-1111");
}

uint32_t
ph_engine_withdraw (PhEngine *self, uint32_t invite)
{
  note ("withdraw");
  return done (self, NULL);
}

uint32_t
ph_engine_add (PhEngine *self, const char *link, const char *name)
{
  note ("add %s %s", link, name != NULL ? name : "-");
  if (!g_str_has_prefix (link, "porthole:"))
    return failed (self, PH_ENGINE_ERROR_BAD_INVITATION, "This is not an invitation.");
  return done (self, "BBBB-2222");
}

uint32_t
ph_engine_rename (PhEngine *self, const char *contact, const char *name)
{
  note ("rename %s %s", contact, name);
  return done (self, contact);
}

uint32_t
ph_engine_remove (PhEngine *self, const char *contact)
{
  note ("remove %s", contact);
  return done (self, contact);
}

uint32_t
ph_engine_block (PhEngine *self, const char *contact, bool blocked)
{
  note ("%s %s", blocked ? "block" : "unblock", contact);
  return done (self, contact);
}

uint32_t
ph_engine_send (PhEngine *self, const char *contact, const char *const *paths)
{
  const FakeContact *to = contacts;
  FakeTransfer *transfer;

  while (strcmp (to->id, contact) != 0)
    to++;
  for (size_t i = 0; paths[i] != NULL; i++)
    note ("send %s %s", contact, paths[i]);
  if (to->fate == FATE_NO_FILE)
    return failed (self, PH_ENGINE_ERROR_FILES, "A file cannot be read.");
  transfer = transfer_new (self, "5e4d0000", to, PH_DIRECTION_SEND, PH_TRANSFER_PREPARING);
  later (self, PH_EVENT_TRANSFER)->transfer = transfer;
  advance_later (transfer);
  return done (self, transfer->id);
}

uint32_t
ph_engine_accept (PhEngine *self, const char *transfer, const char *folder)
{
  FakeTransfer *offer = g_hash_table_lookup (self->transfers, transfer);

  note ("accept %s %s", transfer, folder != NULL ? folder : "-");
  if (g_getenv ("FAKE_ACCEPT_ERROR") != NULL)
    return failed (self, PH_ENGINE_ERROR_NO_SPACE, "There is not enough space.");
  advance_later (offer);
  return done (self, transfer);
}

uint32_t
ph_engine_decline (PhEngine *self, const char *transfer)
{
  FakeTransfer *offer = g_hash_table_lookup (self->transfers, transfer);

  note ("decline %s", transfer);
  end (offer, PH_TRANSFER_DECLINED, "declined", "declined here");
  later (self, PH_EVENT_TRANSFER)->transfer = offer;
  return done (self, transfer);
}

uint32_t
ph_engine_cancel (PhEngine *self, const char *transfer)
{
  note ("cancel %s", transfer);
  return done (self, transfer);
}

uint32_t
ph_engine_pause (PhEngine *self, const char *transfer)
{
  note ("pause %s", transfer);
  return done (self, transfer);
}

uint32_t
ph_engine_resume (PhEngine *self, const char *transfer)
{
  FakeTransfer *resumed = g_hash_table_lookup (self->transfers, transfer);

  note ("resume %s", transfer);
  resumed->view.state = PH_TRANSFER_WAITING;
  advance_later (resumed);
  return done (self, transfer);
}

uint32_t
ph_engine_load_history (PhEngine *self, const PhHistoryQuery *query)
{
  FakeTransfer *old;

  note ("history %u%s%s%s%s%s", query->limit, query->contact != NULL ? " with " : "",
        query->contact != NULL ? query->contact : "", query->search != NULL ? " about " : "",
        query->search != NULL ? query->search : "", query->missed_only ? " missed" : "");
  if (g_getenv ("FAKE_NO_CONTACTS") == NULL) {
    old = transfer_new (self, "01d00000", &contacts[7], PH_DIRECTION_RECEIVE, PH_TRANSFER_FAILED);
    end (old, PH_TRANSFER_FAILED, "no-space", "There was not enough space.");
    later (self, PH_EVENT_HISTORY)->transfer = old;
  }
  return done (self, NULL);
}

uint32_t
ph_engine_get_setting (PhEngine *self, const char *key)
{
  g_autofree char *value = g_strdup_printf ("value of %s", key);

  return done (self, value);
}

uint32_t
ph_engine_set_setting (PhEngine *self, const char *key, const char *value)
{
  note ("set %s %s", key, value);
  if (strcmp (value, "bad") == 0)
    return failed (self, PH_ENGINE_ERROR_BAD_VALUE, "That is no address.");
  return done (self, NULL);
}

uint32_t
ph_engine_network_report (PhEngine *self, uint32_t timeout_ms)
{
  return done (
      self,
      "{\"type\":\"port-restricted\",\"public\":[\"203.0.113.1\",\"2001:db8::1\"],\"hairpin\":false,"
      "\"port_step\":null}");
}

uint32_t
ph_engine_nat_lifetime (PhEngine *self, bool begin)
{
  Step *step;

  if (!begin)
    return done (self, NULL);
  step = later (self, PH_EVENT_NETWORK);
  step->text = g_strdup ("{\"mapping_lifetime_s\":20}");
  return done (self, "{\"type\":\"port-restricted\",\"mapping_lifetime_s\":28}");
}

void
ph_engine_set_explain (PhEngine *self, bool explain)
{
  self->explain = explain;
}
