/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our agent against two that we did not write, aioice and libnice, over real sockets: what "standard on the wire"
 * means. Over UDP with both; over TCP (RFC 6544) with libnice: we connect, or they do. */

#include "net/connect/ph-connections.h"
#include "net/ice/ph-ice-agent.h"
#include "net/io/ph-clock.h"
#include "net/io/ph-tcp.h"
#include "net/io/ph-timer.h"
#include "net/io/ph-udp.h"
#include "tests/support/ph-test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS "192.0.2.77"
/* The UDP socket, or the port that listens. */
#define SOCKET 1
#define SECONDS_MAX 20
/* Over TCP, what is no check must look like a record of TLS. */
static const uint8_t word[] = "\x17Porthole";

typedef struct {
  const char *name;
  bool we_control;
  bool they_control; /* both may claim the role: the agents settle that */
  bool tcp;
  bool we_connect; /* over TCP; else they do */
} Case;

typedef struct {
  const Case *c;
  PhRandomSeeded seed;
  PhIceAgent *agent;
  PhUdp *udp; /* either this */
  PhTcp *tcp; /* or these two */
  PhConnections *connections;
  PhTimer *timer;
  GPid child;
  int to_child;
  FILE *from_child;
  uint32_t next_id;
  PhTime word_at; /* the next word is sent */
  bool echoed;
} Foreign;

/* --- Driving ------------------------------------------------------------------------------------ */

static void
send_out (Foreign *f, PhTransmit *tx)
{
  if (f->c->tcp) {
    ph_connections_frame (f->connections, tx);
    g_assert_cmpint (ph_tcp_send (f->tcp, tx), ==, PH_TCP_SENT);
  } else {
    g_assert_cmpint (ph_udp_send (f->udp, tx), ==, PH_UDP_SENT);
  }
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
  tx.remote = pair.remote_addr;
  send_out (f, &tx);
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
  while (f->connections != NULL && ph_connections_poll_op (f->connections, &op))
    ph_tcp_do (f->tcp, &op);
  while (ph_ice_agent_poll_transmit (f->agent, ph_clock_now (), &tx)) {
    send_out (f, &tx);
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

static void
take_message (Foreign *f, const PhDatagram *message, bool is_stun)
{
  if (is_stun) {
    ph_ice_agent_handle_packet (f->agent, ph_clock_now (), message);
    return;
  }
  g_assert_cmpmem (message->bytes.data, message->bytes.len, word, sizeof word - 1);
  f->echoed = true;
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

static void
received_datagrams (void *user, const PhDatagram *datagrams, size_t n)
{
  for (size_t i = 0; i < n; i++)
    take_message (user, &datagrams[i], ph_stun_is_stun (datagrams[i].bytes));
}

/* --- Connections -------------------------------------------------------------------------------- */

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
received_bytes (void *user, const PhDatagram *in)
{
  Foreign *f = user;
  PhConnection *connection = ph_connections_find (f->connections, in->socket);
  PhDatagram message = *in;
  PhSlice left = in->bytes;
  PhIceFrame what;

  g_assert_nonnull (connection);
  message.port = SOCKET;
  while ((what = ph_ice_frames_next (&connection->frames, &left, &message.bytes))
         != PH_ICE_FRAME_MORE) {
    g_assert_cmpint (what, !=, PH_ICE_FRAME_BROKEN);
    take_message (f, &message, what == PH_ICE_FRAME_STUN);
  }
}

/* --- The other side ----------------------------------------------------------------------------- */

static void
start_child (Foreign *f)
{
  const char *role = f->c->they_control ? "controlling" : "controlled";
  g_autofree char *script = ph_test_source_path ("tests/interop/foreign-ice.py");
  g_autofree char *program =
      g_build_filename (g_getenv ("TOP_BUILDDIR"), "tests/interop/foreign-nice", NULL);
  const char *aioice_argv[] = {"python3", script, role, NULL};
  const char *nice_argv[] = {program, role, f->c->tcp ? "tcp" : NULL, NULL};
  const char **argv = g_str_has_prefix (f->c->name, "aioice/") ? aioice_argv : nice_argv;
  g_autoptr (GError) error = NULL;
  int out;

  g_spawn_async_with_pipes (NULL, (char **)argv, NULL,
                            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &f->child,
                            &f->to_child, &out, NULL, &error);
  g_assert_no_error (error);
  f->from_child = fdopen (out, "r");
}

static void
end_child (Foreign *f)
{
  int status;

  close (f->to_child);
  g_assert_cmpint (waitpid (f->child, &status, 0), ==, f->child);
  g_assert_cmpint (status, ==, 0);
  fclose (f->from_child);
}

/* Over TCP, who is to connect is settled by what each side is told of the other. */
static void
describe (Foreign *f)
{
  const PhAddr *local = f->c->tcp ? ph_tcp_local (f->tcp, SOCKET) : ph_udp_local (f->udp);
  const PhCandidate own = f->c->tcp
                              ? ph_candidate_host_tcp (*local, PH_CANDIDATE_TCP_PASSIVE, SOCKET, 0)
                              : ph_candidate_host (*local, SOCKET, 0);
  PhCandidate told = own;
  char text[PH_CANDIDATE_SDP_MAX];

  if (f->c->we_connect) {
    told = ph_candidate_host_tcp (*local, PH_CANDIDATE_TCP_ACTIVE, SOCKET, 0);
    told.addr.port = 9;
  }
  g_assert_true (ph_ice_agent_add_local_candidate (f->agent, ph_clock_now (), &own));
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
  const bool wanted = !f->c->tcp || f->c->we_connect;
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
    g_assert_cmpint (candidate.transport != PH_CANDIDATE_UDP, ==, f->c->tcp);
    if (wanted && candidate.addr.family == PH_FAMILY_IPV4)
      taken += ph_ice_agent_add_remote_candidate (f->agent, ph_clock_now (), &candidate);
  }
  g_assert_cmpint (taken > 0, ==, wanted);
  ph_ice_agent_end_remote (f->agent, ph_clock_now ());
}

/* --- The test ----------------------------------------------------------------------------------- */

static void
foreign_init (Foreign *f, const Case *c)
{
  static const PhUdpCallbacks udp_callbacks = {received_datagrams, batch_done, writable};
  static const PhTcpCallbacks tcp_callbacks = {new_id, event, received_bytes, batch_done, writable};
  g_autoptr (GError) error = NULL;
  PhAddr local;

  *f = (Foreign){.c = c, .next_id = 100};
  g_assert_true (ph_addr_parse (ADDRESS, 0, &local));
  if (c->tcp) {
    f->connections = ph_connections_new ();
    f->tcp = ph_tcp_new (NULL, &tcp_callbacks, f);
    ph_tcp_listen (f->tcp, SOCKET, &local, &error);
  } else {
    f->udp = ph_udp_new (NULL, SOCKET, &local, PH_UDP_DEFAULT, &udp_callbacks, f, &error);
  }
  g_assert_no_error (error);
  f->timer = ph_timer_new (NULL, fire, f);
  f->agent = ph_ice_agent_new (
      &(PhIceConfig){
          .controlling = c->we_control,
          .random = ph_test_random (&f->seed, "foreign"),
          .trace = &ph_test_trace,
      },
      ph_clock_now ());
}

static void
foreign_clear (Foreign *f)
{
  ph_timer_free (f->timer);
  g_clear_pointer (&f->udp, ph_udp_free);
  g_clear_pointer (&f->tcp, ph_tcp_free);
  g_clear_pointer (&f->connections, ph_connections_free);
  ph_ice_agent_free (f->agent);
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
  const Case *c = data;
  const guint guard = g_timeout_add_seconds (SECONDS_MAX, give_up, NULL);
  Foreign f;
  PhIcePair pair;

  foreign_init (&f, c);
  start_child (&f);
  describe (&f);
  read_description (&f);
  settle (&f);
  while (!f.echoed)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));
  g_assert_cmpint (pair.local.type, ==, PH_CANDIDATE_HOST);
  g_assert_cmpint (pair.local.transport != PH_CANDIDATE_UDP, ==, c->tcp);
  if (c->tcp) {
    g_assert_cmpuint (pair.remote_addr.port, !=, 9);
    g_assert_cmpint (pair.remote.type == PH_CANDIDATE_PRFLX, ==, !c->we_connect);
  }

  /* They answer consent checks too. */
  const unsigned answered = pair.checks_answered;

  while (ph_ice_agent_selected (f.agent, &pair) && pair.checks_answered == answered)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));

  g_source_remove (guard);
  foreign_clear (&f);
  end_child (&f);
}

static const Case cases[] = {
    {"aioice/we-control", true, false},
    {"aioice/they-control", false, true},
    {"aioice/both-control", true, true},
    {"nice/we-control", true, false},
    {"nice/they-control", false, true},
    {"nice/both-control", true, true},
    {"nice-tcp/we-control-and-connect", true, false, true, true},
    {"nice-tcp/we-connect", false, true, true, true},
    {"nice-tcp/we-control", true, false, true, false},
    {"nice-tcp/they-do-both", false, true, true, false},
};

int
main (int argc, char **argv)
{
  static const char *const addresses[] = {ADDRESS "/24", NULL};

  ph_test_init (&argc, &argv);
  signal (SIGPIPE, SIG_IGN);
  ph_test_network (addresses);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/ice-foreign/%s", cases[i].name);

    g_test_add_data_func (path, &cases[i], test_foreign);
  }
  return g_test_run ();
}
