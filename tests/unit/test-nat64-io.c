/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets on a way through a NAT64 translator, and how the way is found, over the kernel's own loopback: it has the
 * addresses that a translator would send from. */

#include "net/io/ph-nat64-address.h"
#include "net/io/ph-nat64-finder.h"
#include "net/io/ph-tcp.h"
#include "net/io/ph-udp.h"
#include "tests/support/ph-test.h"

#define DEADLINE_USEC (20 * G_USEC_PER_SEC)

/* 198.51.100.7 under 2001:db8:64::/96. */
#define TRANSLATED "2001:db8:64::c633:6407"

static PhNat64Way
make_way (void)
{
  return (PhNat64Way){
      .prefix = {.net = ph_test_addr ("2001:db8:64::"), .len = 96},
      .own = ph_nat64_own (0),
      .base = ph_test_addr ("2001:db8:a::2"),
  };
}

static void
run_until (const bool *done)
{
  const gint64 deadline = g_get_monotonic_time () + DEADLINE_USEC;

  while (!*done && g_get_monotonic_time () < deadline) {
    if (!g_main_context_iteration (NULL, FALSE))
      g_usleep (500);
  }
  g_assert_true (*done);
}

static void
ip (const char *arguments)
{
  g_autofree char *line = g_strdup_printf ("ip -6 %s", arguments);
  g_autoptr (GError) error = NULL;
  int status = -1;

  g_assert_true (g_spawn_command_line_sync (line, NULL, NULL, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

/* --- UDP ---------------------------------------------------------------------------------------- */

typedef struct {
  PhUdp *udp;
  PhAddr remote; /* of what came last */
  char text[32];
  bool any;
} End;

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  End *end = user;

  g_assert_false (end->any);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (datagrams[0].bytes.len, <, sizeof end->text);
  memset (end->text, 0, sizeof end->text);
  memcpy (end->text, datagrams[0].bytes.data, datagrams[0].bytes.len);
  end->remote = datagrams[0].remote;
  end->any = true;
}

static void
batch_done (void *user)
{
}

static void
writable (void *user, uint32_t socket)
{
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static PhUdpResult
say (const End *from, PhAddr to, const char *text)
{
  const PhTransmit tx = {.data = (uint8_t *)text, .len = strlen (text), .remote = to};

  return ph_udp_send (from->udp, &tx);
}

static PhAddr
at_port (const char *ip_text, const PhAddr *port_of)
{
  PhAddr addr = ph_test_addr (ip_text);

  addr.port = port_of->port;
  return addr;
}

static void
test_udp (void)
{
  const PhNat64Way way = make_way ();
  const PhAddr there = ph_test_addr (TRANSLATED), base = way.base;
  End own = {0}, peer = {0}, stranger = {0};

  own.udp = ph_udp_new_on_way (NULL, 1, &way, &udp_callbacks, &own, NULL);
  peer.udp = ph_udp_new (NULL, 2, &there, PH_UDP_DEFAULT, &udp_callbacks, &peer, NULL);
  stranger.udp = ph_udp_new (NULL, 3, &base, PH_UDP_DEFAULT, &udp_callbacks, &stranger, NULL);
  g_assert_nonnull (own.udp);
  g_assert_nonnull (ph_udp_way (own.udp));
  g_assert_null (ph_udp_way (peer.udp));
  g_assert_true (ph_addr_equal_ip (ph_udp_local (own.udp), &way.own));

  /* Out: to an address of IPv4, and to none that is not translated. */
  g_assert_cmpint (say (&own, at_port ("198.51.100.7", ph_udp_local (peer.udp)), "out"), ==,
                   PH_UDP_SENT);
  g_assert_cmpint (say (&own, at_port ("127.0.0.1", ph_udp_local (peer.udp)), "no"), ==,
                   PH_UDP_ERROR);
  g_assert_cmpint (say (&own, *ph_udp_local (stranger.udp), "no"), ==, PH_UDP_ERROR);
  run_until (&peer.any);
  g_assert_cmpstr (peer.text, ==, "out");
  g_assert_true (ph_addr_equal_ip (&peer.remote, &way.base));

  /* In: from the translator, and from nobody else. */
  g_assert_cmpint (say (&stranger, peer.remote, "stranger"), ==, PH_UDP_SENT);
  g_assert_cmpint (say (&peer, peer.remote, "in"), ==, PH_UDP_SENT);
  run_until (&own.any);
  g_assert_cmpstr (own.text, ==, "in");
  g_assert_true (ph_addr_equal (&own.remote, &(PhAddr){.family = PH_FAMILY_IPV4,
                                                       .port = ph_udp_local (peer.udp)->port,
                                                       .ip = {198, 51, 100, 7}}));
  ph_udp_free (own.udp);
  ph_udp_free (peer.udp);
  ph_udp_free (stranger.udp);
}

/* --- TCP ---------------------------------------------------------------------------------------- */

typedef struct {
  PhTcp *tcp;
  uint32_t next_id;
  PhConnectionEvent event; /* the last */
  bool any;
} Tcp;

static uint32_t
new_id (void *user)
{
  return ++((Tcp *)user)->next_id;
}

static void
tcp_event (void *user, const PhConnectionEvent *event)
{
  Tcp *self = user;

  self->event = *event;
  self->any = true;
}

static void
tcp_received (void *user, const PhDatagram *in)
{
}

static const PhTcpCallbacks tcp_callbacks = {new_id, tcp_event, tcp_received, batch_done, writable};

static void
connect_to (Tcp *self, uint32_t port, PhAddr remote)
{
  const PhConnectionOp op = {
      .type = PH_CONNECTION_OPEN,
      .socket = ++self->next_id,
      .port = port,
      .remote = remote,
  };

  self->any = false;
  ph_tcp_do (self->tcp, &op);
}

static void
test_tcp (void)
{
  const PhNat64Way way = make_way ();
  const PhAddr there = ph_test_addr (TRANSLATED), anywhere = way.base;
  Tcp own = {.next_id = 100}, peer = {.next_id = 200};
  PhAddr target;

  own.tcp = ph_tcp_new (NULL, &tcp_callbacks, &own);
  peer.tcp = ph_tcp_new (NULL, &tcp_callbacks, &peer);
  g_assert_true (ph_tcp_listen_on_way (own.tcp, 1, &way, NULL));
  g_assert_true (ph_tcp_listen (peer.tcp, 2, &there, NULL));
  g_assert_true (ph_tcp_listen (peer.tcp, 3, &anywhere, NULL));
  g_assert_true (ph_addr_equal_ip (ph_tcp_local (own.tcp, 1), &way.own));

  /* Out. */
  connect_to (&own, 1, at_port ("198.51.100.7", ph_tcp_local (peer.tcp, 2)));
  run_until (&own.any);
  g_assert_cmpint (own.event.type, ==, PH_CONNECTION_OPENED);
  g_assert_true (ph_addr_equal (&own.event.local, ph_tcp_local (own.tcp, 1)));
  g_assert_cmpint (own.event.remote.family, ==, PH_FAMILY_IPV4);
  run_until (&peer.any);
  g_assert_cmpint (peer.event.type, ==, PH_CONNECTION_ACCEPTED);
  g_assert_true (ph_addr_equal_ip (&peer.event.remote, &way.base));
  g_assert_cmpuint (peer.event.remote.port, ==, ph_tcp_local (own.tcp, 1)->port);
  connect_to (&own, 1, at_port ("127.0.0.1", ph_tcp_local (peer.tcp, 2)));
  run_until (&own.any);
  g_assert_cmpint (own.event.type, ==, PH_CONNECTION_UNREACHABLE);

  /* In: from who is not behind the translator nothing is told, from who is, his address. */
  target = at_port ("2001:db8:a::2", ph_tcp_local (own.tcp, 1));
  own.any = false;
  connect_to (&peer, 3, target);
  do {
    peer.any = false;
    run_until (&peer.any);
  } while (peer.event.type == PH_CONNECTION_OPENED);
  g_assert_false (own.any);
  g_assert_true (ph_tcp_listen (peer.tcp, 4, &there, NULL));
  connect_to (&peer, 4, target);
  run_until (&own.any);
  g_assert_cmpint (own.event.type, ==, PH_CONNECTION_ACCEPTED);
  g_assert_true (ph_addr_equal_ip (&own.event.remote,
                                   &(PhAddr){.family = PH_FAMILY_IPV4, .ip = {198, 51, 100, 7}}));
  g_assert_true (ph_addr_equal_ip (&own.event.local, &way.own));
  ph_tcp_free (own.tcp);
  ph_tcp_free (peer.tcp);
}

/* --- What stands in a URL ------------------------------------------------------------------------- */

static void
test_address (void)
{
  const PhNat64Way way = make_way ();
  const PhAddr named = ph_test_addr ("198.51.100.7:443"), private = ph_test_addr ("127.0.0.1:443");
  g_autoptr (GSocketConnectable) made = ph_nat64_address_new (&way.prefix, &named);
  g_autoptr (GSocketAddressEnumerator) all = g_socket_connectable_enumerate (made);
  g_autoptr (GSocketAddressEnumerator) with_proxy = g_socket_connectable_proxy_enumerate (made);

  /* What a certificate is compared with. */
  g_assert_cmpstr (g_network_address_get_hostname (G_NETWORK_ADDRESS (made)), ==, "198.51.100.7");
  g_assert_cmpuint (g_network_address_get_port (G_NETWORK_ADDRESS (made)), ==, 443);
  for (int i = 0; i < 2; i++) {
    g_autoptr (GSocketAddress) next =
        g_socket_address_enumerator_next (i == 0 ? all : with_proxy, NULL, NULL);
    g_autofree char *text = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (next));

    g_assert_cmpstr (text, ==, "[" TRANSLATED "]:443");
  }
  g_assert_null (ph_nat64_address_new (&way.prefix, &private));
}

/* --- Finding ------------------------------------------------------------------------------------ */

#define TEST_TYPE_RESOLVER (test_resolver_get_type ())
G_DECLARE_FINAL_TYPE (TestResolver, test_resolver, TEST, RESOLVER, GResolver)

/* Answers with what `answer` says, or not at all. */
struct _TestResolver {
  GResolver parent;
  const char *answer; /* NULL: it cannot be asked */
  unsigned asked;
};

G_DEFINE_FINAL_TYPE (TestResolver, test_resolver, G_TYPE_RESOLVER)

static void
resolve_async (GResolver *resolver, const char *name, GResolverNameLookupFlags flags,
               GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user)
{
  TestResolver *self = TEST_RESOLVER (resolver);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user);

  self->asked++;
  g_assert_cmpstr (name, ==, "ipv4only.arpa.");
  g_assert_cmpint (flags, ==, G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY);
  if (self->answer == NULL)
    g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE, "silent");
  else if (*self->answer == '\0')
    g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no such name");
  else
    g_task_return_pointer (
        task, g_list_append (NULL, g_inet_address_new_from_string (self->answer)), NULL);
}

static GList *
resolve_finish (GResolver *resolver, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
test_resolver_class_init (TestResolverClass *klass)
{
  GResolverClass *resolver = G_RESOLVER_CLASS (klass);

  resolver->lookup_by_name_with_flags_async = resolve_async;
  resolver->lookup_by_name_with_flags_finish = resolve_finish;
}

static void
test_resolver_init (TestResolver *self)
{
}

static void
on_changed (void *user)
{
  *(bool *)user = true;
}

/* The prefix once an answer is there. */
static void
assert_found (PhNat64Finder *finder, const char *wanted)
{
  const gint64 deadline = g_get_monotonic_time () + DEADLINE_USEC;
  const PhNat64Way *ways;
  const PhAddr base = ph_test_addr ("2001:db8:a::2");
  char text[PH_ADDR_STRING_MAX] = "";
  size_t n;

  while (ph_nat64_finder_is_looking (finder) && g_get_monotonic_time () < deadline) {
    if (!g_main_context_iteration (NULL, FALSE))
      g_usleep (500);
  }
  n = ph_nat64_finder_ways (finder, &ways);
  if (n > 0) {
    ph_nat64_prefix_format (&ways[0].prefix, text);
    g_assert_true (ph_addr_equal_ip (&ways[0].base, &base));
  }
  g_assert_cmpstr (text, ==, wanted);
}

static void
test_finder (void)
{
  g_autoptr (TestResolver) resolver = g_object_new (TEST_TYPE_RESOLVER, NULL);
  bool changed = false;

  g_resolver_set_default (G_RESOLVER (resolver));
  resolver->answer = "2001:db8:64::c000:aa";
  g_autoptr (PhNat64Finder) finder = ph_nat64_finder_new (on_changed, &changed);

  /* IPv6 has no route: nobody is asked. */
  assert_found (finder, "");
  g_assert_cmpuint (resolver->asked, ==, 0);
  ip ("route add default dev lo src 2001:db8:a::2");
  ph_nat64_finder_look (finder);
  assert_found (finder, "2001:db8:64::/96");
  g_assert_true (changed);

  /* The same again is no news; a resolver that cannot be asked changes nothing. */
  changed = false;
  ph_nat64_finder_look (finder);
  assert_found (finder, "2001:db8:64::/96");
  resolver->answer = NULL;
  ph_nat64_finder_look (finder);
  assert_found (finder, "2001:db8:64::/96");
  g_assert_false (changed);

  /* Another prefix, then none. */
  resolver->answer = "2001:db8:65::c000:ab";
  ph_nat64_finder_look (finder);
  assert_found (finder, "2001:db8:65::/96");
  g_assert_true (changed);
  resolver->answer = "";
  ph_nat64_finder_look (finder);
  assert_found (finder, "");

  /* Not where IPv4 has a way of its own. */
  resolver->answer = "2001:db8:64::c000:aa";
  ph_nat64_finder_look (finder);
  assert_found (finder, "2001:db8:64::/96");
  g_assert_cmpint (
      system ("ip address add 203.0.113.9/32 dev lo && ip route add default dev lo src "
              "203.0.113.9"),
      ==, 0);
  ph_nat64_finder_look (finder);
  assert_found (finder, "");
}

/* The kernel makes the route of a new address of IPv6 on its own time; until then packets are lost. */
static void
add_address (const char *text)
{
  g_autofree char *add = g_strdup_printf ("address add %s/128 dev lo nodad", text);
  g_autofree char *ask = g_strdup_printf ("ip -6 route get %s", text);
  const gint64 deadline = g_get_monotonic_time () + DEADLINE_USEC;
  bool local = false;

  ip (add);
  while (!local && g_get_monotonic_time () < deadline) {
    g_autofree char *route = NULL;

    g_assert_true (g_spawn_command_line_sync (ask, &route, NULL, NULL, NULL));
    local = g_str_has_prefix (route, "local ");
  }
  g_assert_true (local);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  add_address (TRANSLATED);
  add_address ("2001:db8:a::2");
  g_test_add_func ("/nat64-io/udp", test_udp);
  g_test_add_func ("/nat64-io/tcp", test_tcp);
  g_test_add_func ("/nat64-io/address", test_address);
  g_test_add_func ("/nat64-io/finder", test_finder);
  return g_test_run ();
}
