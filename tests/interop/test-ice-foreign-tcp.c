/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our agent against libnice over TCP (RFC 6544), over real connections: we connect, or they do. */

#include "net/connect/ph-connections.h"
#include "net/ice/ph-ice-agent.h"
#include "net/io/ph-clock.h"
#include "net/io/ph-tcp.h"
#include "net/io/ph-timer.h"
#include "tests/support/ph-test.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of an interface that is not lo: agents rightly ignore that. */
#define ADDRESS "192.0.2.78"
#define PORT_ID 1
/* What is no check must look like a record of TLS. */
static const uint8_t word[] = "\x17Porthole";

typedef struct {
  const char *name;
  bool we_control;
  bool we_connect; /* else they do */
} Case;

typedef struct {
  const Case *c;
  PhRandomSeeded seed;
  PhIceAgent *agent;
  PhTcp *tcp;
  PhConnections *connections;
  PhTimer *timer;
  GPid child;
  int to_child;
  FILE *from_child;
  uint32_t next_id;
  PhTime word_at;
  bool echoed;
} Foreign;

static void
show (void *user, PhTime when, const char *module, const char *line)
{
  if (g_test_verbose ())
    g_test_message ("%s %s", module, line);
}

/* --- Driving ------------------------------------------------------------------------------------ */

static void
send_framed (Foreign *f, PhTransmit *tx)
{
  ph_connections_frame (f->connections, tx);
  g_assert_cmpint (ph_tcp_send (f->tcp, tx), ==, PH_TCP_SENT);
}

/* The other side may not be ready for the first ones. */
static void
send_word (Foreign *f)
{
  uint8_t data[64];
  PhTransmit tx = {.data = data, .cap = sizeof data, .len = sizeof word - 1};
  PhIcePair pair;

  if (f->echoed || ph_clock_now () < f->word_at || !ph_ice_agent_selected (f->agent, &pair))
    return;
  memcpy (data, word, sizeof word - 1);
  tx.socket = pair.socket;
  send_framed (f, &tx);
  f->word_at = ph_time_add (ph_clock_now (), 50 * PH_MSEC);
}

static void
settle (Foreign *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX + PH_ICE_FRAME_HEADER_LEN];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhConnectionOp op;
  PhIceEvent event;
  const char *why;
  PhTime next;

  while (ph_ice_agent_poll_event (f->agent, &event)) {
    if (event.type == PH_ICE_EVENT_CONNECT)
      ph_connections_open (f->connections, event.pair.local.socket, &event.pair.remote_addr,
                           PH_CONNECTION_PEER);
  }
  while (ph_connections_poll_op (f->connections, &op))
    ph_tcp_do (f->tcp, &op);
  while (ph_ice_agent_poll_transmit (f->agent, ph_clock_now (), &tx)) {
    send_framed (f, &tx);
    tx = (PhTransmit){.data = data, .cap = sizeof data};
  }
  send_word (f);
  next = ph_time_min (ph_ice_agent_next_timeout (f->agent, &why), f->word_at);
  ph_timer_arm (f->timer, ph_time_min (next, ph_clock_now () + 50 * PH_MSEC));
}

static void
fire (void *user, PhTime now)
{
  Foreign *f = user;
  const char *why;

  if (ph_ice_agent_next_timeout (f->agent, &why) <= now)
    ph_ice_agent_handle_timeout (f->agent, now);
  settle (f);
}

static uint32_t
new_id (void *user)
{
  return ++((Foreign *)user)->next_id;
}

static bool
is_first_pair (void *user, const PhIcePair *pair)
{
  *(uint32_t *)user = pair->id;
  return false;
}

static void
event (void *user, const PhConnectionEvent *what)
{
  Foreign *f = user;
  uint32_t pair = 0;

  g_assert_true (ph_connections_handle_event (f->connections, ph_clock_now (), what));
  switch (what->type) {
  case PH_CONNECTION_OPENED:
    g_assert_true (f->c->we_connect);
    ph_ice_agent_for_each_pair (f->agent, is_first_pair, &pair);
    g_assert_true (ph_ice_agent_connected (f->agent, ph_clock_now (), pair, what->socket));
    break;
  case PH_CONNECTION_ACCEPTED:
    g_assert_false (f->c->we_connect);
    break;
  case PH_CONNECTION_REFUSED:
  case PH_CONNECTION_IN_USE:
  case PH_CONNECTION_UNREACHABLE:
  case PH_CONNECTION_CLOSED:
    g_assert_not_reached ();
  }
}

static void
received (void *user, const PhDatagram *in)
{
  Foreign *f = user;
  PhConnection *connection = ph_connections_find (f->connections, in->socket);
  PhDatagram message = *in;
  PhSlice left = in->bytes;
  PhIceFrame what;

  g_assert_nonnull (connection);
  message.port = PORT_ID;
  while ((what = ph_ice_frames_next (&connection->frames, &left, &message.bytes))
         != PH_ICE_FRAME_MORE) {
    g_assert_cmpint (what, !=, PH_ICE_FRAME_BROKEN);
    if (what == PH_ICE_FRAME_STUN)
      ph_ice_agent_handle_packet (f->agent, ph_clock_now (), &message);
    else
      f->echoed = true;
  }
}

static void
batch_done (void *user)
{
  settle (user);
}

static void
writable (void *user, uint32_t socket)
{
}

/* --- The other side ----------------------------------------------------------------------------- */

static void
start_child (Foreign *f)
{
  g_autofree char *program =
      g_build_filename (g_getenv ("TOP_BUILDDIR"), "tests/interop/foreign-nice", NULL);
  const char *argv[] = {program, f->c->we_control ? "controlled" : "controlling", "tcp", NULL};
  g_autoptr (GError) error = NULL;
  int out;

  g_spawn_async_with_pipes (NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                            &f->child, &f->to_child, &out, NULL, &error);
  g_assert_no_error (error);
  f->from_child = fdopen (out, "r");
}

/* Who is to connect is settled by what each side is told of the other. */
static void
describe (Foreign *f)
{
  const PhAddr *local = ph_tcp_local (f->tcp, PORT_ID);
  const PhCandidate passive = ph_candidate_host_tcp (*local, PH_CANDIDATE_TCP_PASSIVE, PORT_ID, 0);
  PhCandidate told = passive;
  char text[PH_CANDIDATE_SDP_MAX];

  if (f->c->we_connect) {
    told = ph_candidate_host_tcp (*local, PH_CANDIDATE_TCP_ACTIVE, PORT_ID, 0);
    told.addr.port = 9;
  }
  g_assert_true (ph_ice_agent_add_local_candidate (f->agent, ph_clock_now (), &passive));
  ph_ice_agent_end_local (f->agent, ph_clock_now ());
  dprintf (f->to_child, "%s\n%s\n%s\nend\n", ph_ice_agent_ufrag (f->agent),
           ph_ice_agent_pwd (f->agent), ph_candidate_format_sdp (&told, text));
}

static char *
read_line (Foreign *f)
{
  char line[512];

  g_assert_nonnull (fgets (line, sizeof line, f->from_child));
  return g_strdup (g_strchomp (line));
}

static void
read_description (Foreign *f)
{
  g_autofree char *ufrag = read_line (f);
  g_autofree char *pwd = read_line (f);
  unsigned taken = 0;

  g_assert_true (ph_ice_agent_set_remote_credentials (f->agent, ph_clock_now (), ufrag, pwd));
  for (;;) {
    g_autofree char *line = read_line (f);
    PhCandidate candidate;

    if (strcmp (line, "end") == 0)
      break;
    g_assert_true (ph_candidate_parse_sdp (line, &candidate));
    g_assert_cmpint (candidate.transport, !=, PH_CANDIDATE_UDP);
    if (f->c->we_connect && candidate.addr.family == PH_FAMILY_IPV4)
      taken += ph_ice_agent_add_remote_candidate (f->agent, ph_clock_now (), &candidate);
  }
  g_assert_cmpuint (taken, ==, f->c->we_connect);
  ph_ice_agent_end_remote (f->agent, ph_clock_now ());
}

static gboolean
give_up (gpointer unused)
{
  g_error ("waited in vain");
  return G_SOURCE_REMOVE;
}

static void
test_foreign (gconstpointer data)
{
  static const PhTcpCallbacks callbacks = {new_id, event, received, batch_done, writable};
  static const PhTrace trace = {show, NULL};
  Foreign f = {.c = data, .next_id = 100, .word_at = 0};
  const guint guard = g_timeout_add_seconds (20, give_up, NULL);
  const PhAddr *remote;
  PhAddr local;
  PhIcePair pair;
  int status;

  g_assert_true (ph_addr_parse (ADDRESS, 0, &local));
  f.connections = ph_connections_new ();
  f.tcp = ph_tcp_new (NULL, &callbacks, &f);
  f.timer = ph_timer_new (NULL, fire, &f);
  g_assert_true (ph_tcp_listen (f.tcp, PORT_ID, &local, NULL));
  f.agent = ph_ice_agent_new (
      &(PhIceConfig){
          .controlling = f.c->we_control,
          .random = ph_test_random (&f.seed, "foreign-tcp"),
          .trace = &trace,
      },
      ph_clock_now ());
  start_child (&f);
  describe (&f);
  read_description (&f);
  settle (&f);
  while (!f.echoed)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));
  remote = &pair.remote_addr;
  g_assert_cmpint (pair.local.transport, !=, PH_CANDIDATE_UDP);
  g_assert_cmpuint (remote->port, !=, 9);
  g_assert_cmpint (pair.remote.type == PH_CANDIDATE_PRFLX, ==, !f.c->we_connect);

  const unsigned answered = pair.checks_answered;

  while (ph_ice_agent_selected (f.agent, &pair) && pair.checks_answered == answered)
    g_main_context_iteration (NULL, TRUE); /* consent */
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));

  g_source_remove (guard);
  ph_timer_free (f.timer);
  ph_tcp_free (f.tcp);
  ph_connections_free (f.connections);
  close (f.to_child);
  g_assert_cmpint (waitpid (f.child, &status, 0), ==, f.child);
  g_assert_cmpint (status, ==, 0);
  fclose (f.from_child);
  ph_ice_agent_free (f.agent);
}

static const Case cases[] = {
    {"we-control-and-connect", true, true},
    {"we-connect", false, true},
    {"we-control", true, false},
    {"they-do-both", false, false},
};

int
main (int argc, char **argv)
{
  static const char *const network[] = {
      "ip link set lo up",
      "ip link add near type veth peer name far",
      "ip address add " ADDRESS "/24 dev near",
      "ip link set near up",
      "ip link set far up",
  };
  g_autoptr (GError) error = NULL;
  int status;

  ph_test_init (&argc, &argv);
  signal (SIGPIPE, SIG_IGN);
  /* Other tests that run at the same time shall not see an address come and go. */
  g_assert_cmpint (unshare (CLONE_NEWNET), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS (network); i++) {
    g_spawn_command_line_sync (network[i], NULL, NULL, &status, &error);
    g_assert_no_error (error);
    g_assert_cmpint (status, ==, 0);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/ice-foreign-tcp/%s", cases[i].name);

    g_test_add_data_func (path, &cases[i], test_foreign);
  }
  return g_test_run ();
}
