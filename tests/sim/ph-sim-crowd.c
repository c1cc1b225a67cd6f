/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-crowd.h"

#define INTERNET_HOPS 5
#define SIGNAL_DELAY (25 * PH_MSEC)

typedef struct _Member Member;

/* What a member has to do with one other. */
typedef struct {
  Member *other;
  PhSessionPeer *session;
  PhPathKind path;
} Contact;

struct _Member {
  PhSimEndpoint base;
  PhSimCrowd *crowd;
  PhAddr ip;
  PhSimHost *host;
  PhSimDriver *driver;
  PhTlsIdentity *identity;
  PhTrace trace; /* of nothing */
  PhRandom random;
  Contact contacts[PH_SIM_CROWD_OTHERS_MAX];
  unsigned n_contacts;
  uint64_t work_timer;
};

struct _PhSimCrowd {
  PhSimCrowdOptions options;
  PhSim *sim;
  Member members[1 + PH_SIM_CROWD_OTHERS_MAX]; /* the one, and the others */
};

typedef struct {
  Member *from;
  Member *to;
  GBytes *body;
} Signal;

static const uint8_t *
member_key (const Member *member)
{
  return ph_tls_identity_key (member->identity);
}

static Contact *
find_contact (Member *member, const uint8_t key[PH_KEY_LEN])
{
  for (unsigned i = 0; i < member->n_contacts; i++) {
    if (memcmp (member_key (member->contacts[i].other), key, PH_KEY_LEN) == 0)
      return &member->contacts[i];
  }
  g_assert_not_reached ();
}

/* --- Signals ------------------------------------------------------------------------------------ */

static void
take_signal (Member *member, PhTime now, const Member *from, GBytes *body)
{
  gsize len;
  const void *data = g_bytes_get_data (body, &len);

  ph_connector_handle_signal (ph_endpoint_peer (member->base.endpoint, member_key (from)), now,
                              ph_slice (data, len));
}

static void
signal_free (void *data)
{
  Signal *signal = data;

  g_bytes_unref (signal->body);
  g_free (signal);
}

static void
on_signal (void *user, PhTime now)
{
  const Signal *signal = user;

  take_signal (signal->to, now, signal->from, signal->body);
  ph_sim_driver_settle (signal->to->driver);
}

/* Takes `body`. */
static void
post_signal (Member *from, Member *to, PhTime now, GBytes *body)
{
  PhSim *sim = from->crowd->sim;
  Signal *signal = g_new0 (Signal, 1);

  *signal = (Signal){from, to, body};
  ph_sim_own (sim, signal, signal_free);
  ph_sim_at (sim, now + SIGNAL_DELAY, on_signal, signal);
}

/* --- The core ----------------------------------------------------------------------------------- */

static void
handle_timeout (void *core, PhTime now)
{
  Member *member = core;

  ph_endpoint_handle_timeout (member->base.endpoint, now);
  for (unsigned i = 0; i < member->n_contacts; i++)
    ph_session_handle_timeout (member->contacts[i].session->session, now);
}

static PhTime
next_timeout (const void *core, const char **ret_why)
{
  const Member *member = core;
  PhTime when = ph_endpoint_next_timeout (member->base.endpoint, ret_why);

  for (unsigned i = 0; i < member->n_contacts; i++)
    when = ph_sim_session_timeout (member->contacts[i].session->session, when, ret_why);
  return when;
}

static void
take_event (Contact *contact, PhTime now, PhConnectorEvent *event)
{
  if (event->type == PH_CONNECTOR_EVENT_LINK_READY || event->type == PH_CONNECTOR_EVENT_PATH)
    contact->path = event->path.kind;
  if (event->type == PH_CONNECTOR_EVENT_FAILED)
    g_error ("nothing stands in the way, and yet there is no connection");
  ph_sim_tell_session (contact->session->session, now, event);
}

static void
on_disk (void *user, PhTime now)
{
  Member *member = user;
  bool worked = false;

  member->work_timer = 0;
  for (unsigned i = 0; i < member->n_contacts; i++)
    worked |= ph_session_peer_work (member->contacts[i].session, now);
  if (worked)
    ph_sim_driver_settle (member->driver);
}

static bool
drain_contact (Member *member, PhTime now, Contact *contact)
{
  GPtrArray *signals = contact->session->signals;
  bool any = false;

  ph_session_peer_poll (contact->session, now);
  for (; signals->len > 0; any = true) {
    g_autoptr (GBytes) signal = g_ptr_array_steal_index (signals, 0);

    take_signal (member, now, contact->other, signal);
  }
  return any;
}

static bool
drain (void *core, PhTime now)
{
  Member *member = core;
  PhConnectorEvent event;
  uint8_t key[PH_KEY_LEN];
  GBytes *body;
  bool any = false;

  for (; ph_endpoint_poll_event (member->base.endpoint, key, &event); any = true)
    take_event (find_contact (member, key), now, &event);
  for (unsigned i = 0; i < member->n_contacts; i++)
    any |= drain_contact (member, now, &member->contacts[i]);
  for (; (body = ph_endpoint_poll_signal (member->base.endpoint, key)) != NULL; any = true)
    post_signal (member, find_contact (member, key)->other, now, body);
  if (member->work_timer == 0)
    member->work_timer =
        ph_sim_at (member->crowd->sim, now + PH_SIM_DISK_INTERVAL, on_disk, member);
  return any;
}

static const PhSimCore member_class = {
    PH_SIM_ENDPOINT_VERBS,
    .handle_timeout = handle_timeout,
    .drain = drain,
    .next_timeout = next_timeout,
};

/* --- Making them -------------------------------------------------------------------------------- */

static void
open_sockets (Member *member)
{
  const PhTime now = ph_sim_now (member->crowd->sim);
  PhAddr local;

  if (member->crowd->options.tcp) {
    const uint32_t port = ph_sim_host_listen (member->host, &member->ip, &local);

    g_assert_true (ph_endpoint_add_port (member->base.endpoint, now, port, &local));
  } else {
    const uint32_t socket = ph_sim_host_open (member->host, &member->ip, &local);

    g_assert_true (ph_endpoint_add_socket (member->base.endpoint, now, socket, &local));
  }
}

static void
member_init (PhSimCrowd *crowd, unsigned number, PhSimSegment *internet)
{
  g_autofree char *name = g_strdup_printf ("member%u", number);
  Member *member = &crowd->members[number];
  PhEndpointConfig config;
  uint8_t seed[PH_TLS_SEED_LEN];
  PhSimIface *iface;

  member->crowd = crowd;
  member->ip = ph_addr_ipv4 (203, 0, 113, (uint8_t)(1 + number), 0);
  member->host = ph_sim_host_new (crowd->sim, name);
  iface = ph_sim_host_attach (member->host, internet, &member->ip);
  if (number == 0)
    ph_sim_iface_set (iface, &crowd->options.line);
  member->random = *ph_sim_random_for (crowd->sim, name);
  ph_random_bytes (&member->random, seed, sizeof seed);
  member->identity = ph_tls_identity_new (seed);
  config = (PhEndpointConfig){.identity = member->identity, .random = member->random};
  memcpy (config.key, member_key (member), PH_KEY_LEN);
  member->base.endpoint = ph_endpoint_new (&config);
  open_sockets (member);
}

static void
introduce (Member *member, Member *other)
{
  Contact *contact = &member->contacts[member->n_contacts++];

  contact->other = other;
  contact->session = ph_session_peer_new ("member", member->random, &member->trace);
  contact->session->accepts = true;
  ph_endpoint_peer (member->base.endpoint, member_key (other));
}

PhSimCrowd *
ph_sim_crowd_new (const PhSimCrowdOptions *options)
{
  PhSimCrowd *self = g_new0 (PhSimCrowd, 1);
  PhSimSegment *internet;

  g_assert_cmpuint (options->others, <=, PH_SIM_CROWD_OTHERS_MAX);
  self->options = *options;
  self->sim = ph_sim_new (options->seed);
  internet = ph_sim_segment_new (self->sim, "internet", INTERNET_HOPS);
  for (unsigned i = 0; i <= options->others; i++)
    member_init (self, i, internet);
  for (unsigned i = 1; i <= options->others; i++) {
    introduce (&self->members[0], &self->members[i]);
    introduce (&self->members[i], &self->members[0]);
  }
  for (unsigned i = 0; i <= options->others; i++) {
    Member *member = &self->members[i];

    member->driver = ph_sim_driver_new (self->sim, member->host, &member_class, member);
    ph_sim_driver_settle (member->driver);
  }
  return self;
}

void
ph_sim_crowd_free (PhSimCrowd *self)
{
  if (self == NULL)
    return;
  for (unsigned i = 0; i <= self->options.others; i++) {
    Member *member = &self->members[i];

    for (unsigned c = 0; c < member->n_contacts; c++)
      ph_session_peer_free (member->contacts[c].session);
    ph_endpoint_free (member->base.endpoint);
    ph_tls_identity_unref (member->identity);
  }
  ph_sim_free (self->sim);
  g_free (self);
}

/* --- Using them --------------------------------------------------------------------------------- */

PhPeerTransfer *
ph_sim_crowd_send (PhSimCrowd *self, unsigned to, uint64_t size)
{
  Member *one = &self->members[0];
  Contact *contact = &one->contacts[to];
  PhMemoryFiles *files = ph_memory_files_new (contact->session->random);
  PhPeerTransfer *transfer;

  ph_memory_files_fill_one (files, size);
  transfer = ph_session_peer_offer (contact->session, ph_sim_now (self->sim), files);
  ph_connector_set_wanted (ph_endpoint_peer (one->base.endpoint, member_key (contact->other)),
                           ph_sim_now (self->sim), true);
  ph_sim_driver_settle (one->driver);
  return transfer;
}

void
ph_sim_crowd_run (PhSimCrowd *self, PhTime interval)
{
  ph_sim_run (self->sim, ph_sim_now (self->sim) + interval);
}

PhTime
ph_sim_crowd_now (const PhSimCrowd *self)
{
  return ph_sim_now (self->sim);
}

bool
ph_sim_crowd_run_over (PhSimCrowd *self, const PhPeerTransfer *transfer, PhTime interval)
{
  return ph_sim_run_over (self->sim, transfer, interval);
}

PhPathKind
ph_sim_crowd_path (const PhSimCrowd *self, unsigned to)
{
  return self->members[0].contacts[to].path;
}
