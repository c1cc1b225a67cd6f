/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the router is looked for by UPnP in a network that has none. With a router: the lab's suite. */

#include "net/io/ph-upnp.h"
#include "tests/support/ph-test.h"

#include <glib-unix.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCAL "10.0.0.7"
#define SECONDS_MAX 20
/* Less than the library waits for the answers to one search. */
#define AT_ONCE_US (G_USEC_PER_SEC / 2)

typedef struct {
  int listener;
  unsigned n_routers, n_any; /* searches that were heard */
  gint64 first_at, last_router_at;
  bool done;
} Ssdp;

static int
listen_to_searches (void)
{
  const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons (1900)};
  const struct ip_mreq group = {{inet_addr ("239.255.255.250")}, {inet_addr (LOCAL)}};
  const int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (fd, (const struct sockaddr *)&at, sizeof at), ==, 0);
  g_assert_cmpint (setsockopt (fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), ==, 0);
  return fd;
}

static gboolean
heard (int fd, GIOCondition condition, gpointer user)
{
  Ssdp *t = user;
  char text[1500];
  const ssize_t len = recv (fd, text, sizeof text - 1, 0);

  g_assert_cmpint (len, >, 0);
  text[len] = '\0';
  g_assert_true (g_str_has_prefix (text, "M-SEARCH "));
  if (t->first_at == 0)
    t->first_at = g_get_monotonic_time ();
  if (strstr (text, "ST: upnp:rootdevice") != NULL) {
    t->n_any++;
  } else {
    t->n_routers++;
    t->last_router_at = g_get_monotonic_time ();
  }
  return G_SOURCE_CONTINUE;
}

static void
task_done (void *user, uint32_t id, PhPortmapUpnpResult result, const PhAddr *external,
           uint32_t lifetime_s)
{
  Ssdp *t = user;

  g_assert_cmpuint (id, ==, 7);
  g_assert_cmpint (result, ==, PH_PORTMAP_UPNP_ABSENT);
  t->done = true;
}

static gboolean
give_up (gpointer unused)
{
  g_error ("waited in vain");
  return G_SOURCE_REMOVE;
}

/* Routers have several names: nobody waits for the answers to one before the next is called. */
static void
test_absent (void)
{
  const guint guard = g_timeout_add_seconds (SECONDS_MAX, give_up, NULL);
  const PhPortmapUpnp task = {
      .id = 7, .proto = PH_PORTMAP_UDP, .internal_port = 5000, .lifetime_s = 600};
  Ssdp t = {.listener = listen_to_searches ()};
  const guint watch = g_unix_fd_add (t.listener, G_IO_IN, heard, &t);
  PhAddr local;
  PhUpnp *upnp;

  g_assert_true (ph_addr_parse (LOCAL, 0, &local));
  upnp = ph_upnp_new (NULL, &local, task_done, &t);
  ph_upnp_run (upnp, &task);
  while (!t.done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (t.n_routers, >=, 3);
  g_assert_cmpuint (t.n_any, ==, 1);
  g_assert_cmpint (t.last_router_at - t.first_at, <, AT_ONCE_US);
  ph_upnp_free (upnp);
  g_source_remove (watch);
  g_source_remove (guard);
  close (t.listener);
}

int
main (int argc, char **argv)
{
  static const char *const addresses[] = {LOCAL "/24", NULL};

  ph_test_init (&argc, &argv);
  ph_test_network (addresses);
  g_test_add_func ("/upnp/absent", test_absent);
  return g_test_run ();
}
