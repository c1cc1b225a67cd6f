/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our agent against two that we did not write, aioice and libnice, over real sockets: what "standard on
 * the wire" means. */

#include "net/ice/ph-ice-agent.h"
#include "tests/support/ph-test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of an interface that is not lo: agents rightly ignore that. */
#define ADDRESS "192.0.2.77"
#define SOCKET 1
#define TIME_MAX (20 * PH_SEC)

typedef struct {
  PhRandomSeeded seed;
  PhIceAgent *agent;
  int udp;
  GPid child;
  int to_child;
  FILE *from_child;
  PhTime word_at; /* the next word is sent */
  bool echoed;
  unsigned answered; /* checks, until then */
} Foreign;

static PhTime
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_BOOTTIME, &t);
  return (PhTime)t.tv_sec * PH_SEC + (PhTime)t.tv_nsec;
}

static void
show (void *user, PhTime when, const char *module, const char *line)
{
  if (g_test_verbose ())
    g_test_message ("%s %s", module, line);
}

static void
send_to (const Foreign *f, const PhAddr *remote, PhSlice bytes)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (remote->port)};

  memcpy (&to.sin_addr, remote->ip, 4);
  g_assert_cmpint (sendto (f->udp, bytes.data, bytes.len, 0, (struct sockaddr *)&to, sizeof to), ==,
                   (ssize_t)bytes.len);
}

static void
settle (Foreign *f)
{
  uint8_t data[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhIceEvent event;

  while (ph_ice_agent_poll_transmit (f->agent, now (), &tx))
    send_to (f, &tx.remote, ph_slice (data, tx.len));
  while (ph_ice_agent_poll_event (f->agent, &event))
    ;
}

/* The other side may not be ready for the first ones. */
static void
send_word (Foreign *f)
{
  PhIcePair pair;

  if (f->echoed || now () < f->word_at || !ph_ice_agent_selected (f->agent, &pair))
    return;
  send_to (f, &pair.remote_addr, ph_slice_string ("Porthole"));
  f->word_at = ph_time_add (now (), 50 * PH_MSEC);
}

static void
receive (Foreign *f)
{
  uint8_t bytes[2048];
  struct sockaddr_in from;
  socklen_t from_len = sizeof from;
  const ssize_t len =
      recvfrom (f->udp, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

  if (len < 0)
    return;
  if (!ph_stun_is_stun (ph_slice (bytes, (size_t)len))) {
    g_assert_cmpmem (bytes, len, "Porthole", 8);
    f->echoed = true;
    return;
  }

  const PhDatagram in = {
      .socket = SOCKET,
      .remote = ph_addr_from_bytes (ph_slice (&from.sin_addr, 4), ntohs (from.sin_port)),
      .bytes = ph_slice (bytes, (size_t)len),
  };

  ph_ice_agent_handle_packet (f->agent, now (), &in);
}

/* The datagram that was sent on the selected pair has come back. */
static bool
is_echoed (const Foreign *f)
{
  return f->echoed;
}

/* It answers consent checks too. */
static bool
has_consent (const Foreign *f)
{
  PhIcePair pair;

  return ph_ice_agent_selected (f->agent, &pair) && pair.checks_answered > f->answered;
}

static void
run_until (Foreign *f, bool (*done) (const Foreign *f))
{
  const PhTime end = ph_time_add (now (), TIME_MAX);

  while (!done (f)) {
    g_assert_cmpuint (now (), <, end);

    const char *why;
    const PhTime next =
        ph_time_min (ph_ice_agent_next_timeout (f->agent, &why), now () + 50 * PH_MSEC);
    struct pollfd poll_fd = {.fd = f->udp, .events = POLLIN};
    const PhTime wait = ph_time_since (next, now ());

    if (poll (&poll_fd, 1, (int)((wait + PH_MSEC - 1) / PH_MSEC)) > 0)
      receive (f);
    if (ph_ice_agent_next_timeout (f->agent, &why) <= now ())
      ph_ice_agent_handle_timeout (f->agent, now ());
    settle (f);
    send_word (f);
  }
}

static void
open_socket (Foreign *f)
{
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t at_len = sizeof at;

  g_assert_cmpint (inet_pton (AF_INET, ADDRESS, &at.sin_addr), ==, 1);
  f->udp = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (f->udp, (struct sockaddr *)&at, sizeof at), ==, 0);
  g_assert_cmpint (getsockname (f->udp, (struct sockaddr *)&at, &at_len), ==, 0);

  const PhCandidate host = ph_candidate_host (
      ph_addr_from_bytes (ph_slice (&at.sin_addr, 4), ntohs (at.sin_port)), SOCKET, 0);
  char text[PH_CANDIDATE_SDP_MAX];

  g_assert_true (ph_ice_agent_add_local_candidate (f->agent, now (), &host));
  ph_ice_agent_end_local (f->agent, now ());
  dprintf (f->to_child, "%s\n%s\n%s\nend\n", ph_ice_agent_ufrag (f->agent),
           ph_ice_agent_pwd (f->agent), ph_candidate_format_sdp (&host, text));
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

  g_assert_true (ph_ice_agent_set_remote_credentials (f->agent, now (), ufrag, pwd));
  for (;;) {
    g_autofree char *line = read_line (f);
    PhCandidate candidate;

    if (strcmp (line, "end") == 0)
      break;
    g_assert_true (ph_candidate_parse_sdp (line, &candidate));
    taken += ph_ice_agent_add_remote_candidate (f->agent, now (), &candidate);
  }
  g_assert_cmpuint (taken, >, 0);
  ph_ice_agent_end_remote (f->agent, now ());
}

static void
start_child (Foreign *f, const char *name, bool controlling)
{
  const char *role = controlling ? "controlling" : "controlled";
  g_autofree char *script = ph_test_source_path ("tests/interop/foreign-ice.py");
  g_autofree char *program =
      g_build_filename (g_getenv ("TOP_BUILDDIR"), "tests/interop", name, NULL);
  const char *aioice_argv[] = {"python3", script, role, NULL};
  const char *nice_argv[] = {program, role, NULL};
  const char **argv = strcmp (name, "aioice") == 0 ? aioice_argv : nice_argv;
  g_autoptr (GError) error = NULL;
  int out;

  g_spawn_async_with_pipes (NULL, (char **)argv, NULL,
                            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &f->child,
                            &f->to_child, &out, NULL, &error);
  g_assert_no_error (error);
  f->from_child = fdopen (out, "r");
}

typedef struct {
  const char *foreign;
  const char *name;
  bool we_control;
  bool they_control;
} Case;

/* Both may claim the role: the agents settle that. */
static void
test_foreign (gconstpointer data)
{
  const Case *c = data;
  static const PhTrace trace = {show, NULL};
  Foreign f = {0};
  PhIcePair pair;
  int status;

  f.agent = ph_ice_agent_new (
      &(PhIceConfig){
          .controlling = c->we_control,
          .random = ph_test_random (&f.seed, "foreign"),
          .trace = &trace,
      },
      now ());
  start_child (&f, c->foreign, c->they_control);
  open_socket (&f);
  read_description (&f);
  run_until (&f, is_echoed);
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));
  f.answered = pair.checks_answered;
  run_until (&f, has_consent);
  g_assert_true (ph_ice_agent_selected (f.agent, &pair));
  g_assert_cmpint (pair.local.type, ==, PH_CANDIDATE_HOST);

  close (f.to_child);
  g_assert_cmpint (waitpid (f.child, &status, 0), ==, f.child);
  g_assert_cmpint (status, ==, 0);
  fclose (f.from_child);
  close (f.udp);
  ph_ice_agent_free (f.agent);
}

static const Case cases[] = {
    {"aioice", "we-control", true, false},         {"aioice", "they-control", false, true},
    {"aioice", "both-control", true, true},        {"foreign-nice", "we-control", true, false},
    {"foreign-nice", "they-control", false, true}, {"foreign-nice", "both-control", true, true},
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
    g_autofree char *path = g_strdup_printf ("/ice-foreign/%s/%s", cases[i].foreign, cases[i].name);

    g_test_add_data_func (path, &cases[i], test_foreign);
  }
  return g_test_run ();
}
