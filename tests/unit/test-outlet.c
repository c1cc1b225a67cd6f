/* SPDX-License-Identifier: GPL-3.0-or-later */
/* By which interface an address leaves, against the real kernel in a network namespace of the test's own. */

#include "net/io/ph-interfaces.h"
#include "net/io/ph-outlet.h"
#include "net/io/ph-udp.h"
#include "tests/support/ph-test.h"

#include <net/if.h>

/* Two ways out, the first with the lower metric, in both families. */
#define TWO_NETWORKS                                                                               \
  "sh -ec 'for i in 8 9; do "                                                                      \
  "ip link add ph-a$i type veth peer name ph-b$i; "                                                \
  "ip addr add 10.7$i.0.1/24 dev ph-a$i; "                                                         \
  "ip addr add 2001:db8:7$i::1/64 dev ph-a$i nodad; "                                              \
  "ip link set ph-b$i up; ip link set ph-a$i up; "                                                 \
  "ip route add default via 10.7$i.0.9 dev ph-a$i metric 10$i; "                                   \
  "ip route add default via 2001:db8:7$i::9 dev ph-a$i metric 10$i; done'"

/* As OpenVPN does it: a way for each half of the internet, and no default route. */
#define TUNNEL                                                                                     \
  "sh -ec 'ip link add ph-c type veth peer name ph-d; ip addr add 10.80.0.1/24 dev ph-c; "         \
  "ip link set ph-d up; ip link set ph-c up; "                                                     \
  "ip route add 0.0.0.0/1 via 10.80.0.9; ip route add 128.0.0.0/1 via 10.80.0.9'"

/* An interface is running a moment after it was set up. */
static void
await_addresses (unsigned n)
{
  const gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;

  for (;;) {
    g_autoptr (GArray) list = ph_interfaces_list (PH_INTERFACES_DEFAULT);

    if (list->len == n)
      return;
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (10000);
  }
}

static uint32_t
outlet_of (const char *address)
{
  const PhAddr local = ph_test_addr (address);

  return ph_outlet_for (&local);
}

static void
test_outlet (void)
{
  uint32_t first, second;

  ph_test_command (TWO_NETWORKS);
  await_addresses (4);
  first = if_nametoindex ("ph-a8");
  second = if_nametoindex ("ph-a9");
  g_assert_cmpuint (outlet_of ("10.78.0.1"), ==, first);
  g_assert_cmpuint (outlet_of ("10.79.0.1"), ==, second);
  g_assert_cmpuint (outlet_of ("2001:db8:78::1"), ==, first);
  g_assert_cmpuint (outlet_of ("2001:db8:79::1"), ==, second);
  g_assert_cmpuint (outlet_of ("10.1.1.1"), ==, 0); /* not ours */

  /* A tunnel takes all there is: nothing leaves beside it. */
  ph_test_command (TUNNEL);
  await_addresses (5);
  g_assert_cmpuint (outlet_of ("10.79.0.1"), ==, 0);
  g_assert_cmpuint (outlet_of ("2001:db8:79::1"), ==, second);
  ph_test_command ("ip link del ph-c");
  g_assert_cmpuint (outlet_of ("10.79.0.1"), ==, second);

  /* An interface without a way out stays as it is: what is on its link is found by the routes. */
  ph_test_command ("ip route del default via 10.79.0.9");
  g_assert_cmpuint (outlet_of ("10.79.0.1"), ==, 0);
  ph_test_command ("sh -c 'ip link del ph-a8; ip link del ph-a9'");
}

static void
ignore_received (void *user, const PhDatagram *datagrams, size_t n)
{
}

static void
ignore_done (void *user)
{
}

static void
ignore_writable (void *user, uint32_t socket)
{
}

static uint64_t
sent_by (const char *interface)
{
  g_autofree char *line = g_strdup_printf (
      "sh -c \"ip -s link show dev %s | sed -n '/TX:/{n;s/ *\\([0-9]*\\).*/\\1/p}'\"", interface);
  g_autofree char *out = NULL;

  g_assert_true (g_spawn_command_line_sync (line, &out, NULL, NULL, NULL));
  return g_ascii_strtoull (out, NULL, 10);
}

/* Whether 10 kB to the internet left by this interface. */
static bool
leaves_by (PhUdp *udp, const char *interface)
{
  uint8_t bytes[1000] = {0};
  const uint64_t before = sent_by (interface);

  for (unsigned i = 0; i < 10; i++) {
    const PhTransmit tx = {.data = bytes,
                           .cap = sizeof bytes,
                           .len = sizeof bytes,
                           .remote = ph_test_addr ("192.0.2.7:9")};

    g_assert_cmpint (ph_udp_send (udp, &tx), ==, PH_UDP_SENT);
  }
  return sent_by (interface) - before >= 10000;
}

/* What the option is for: a socket at the second address, held to it and let go again. */
static void
test_socket (void)
{
  const PhUdpCallbacks callbacks = {ignore_received, ignore_done, ignore_writable};
  const PhAddr local = ph_test_addr ("10.79.0.1");
  g_autoptr (GError) error = NULL;
  g_autoptr (PhUdp) udp = NULL;

  ph_test_command (TWO_NETWORKS);
  await_addresses (4);
  ph_test_command ("sh -ec 'for i in 8 9; do "
                   "ip neigh replace 10.7$i.0.9 lladdr 02:00:00:00:00:01 dev ph-a$i; done'");
  udp = ph_udp_new (NULL, 1, &local, PH_UDP_DEFAULT, &callbacks, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (leaves_by (udp, "ph-a8"));
  ph_udp_set_outlet (udp, ph_outlet_for (&local));
  g_assert_cmpuint (ph_udp_outlet (udp), ==, if_nametoindex ("ph-a9"));
  g_assert_true (leaves_by (udp, "ph-a9"));
  ph_udp_set_outlet (udp, 0);
  g_assert_true (leaves_by (udp, "ph-a8"));
  ph_test_command ("sh -c 'ip link del ph-a8; ip link del ph-a9'");
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/outlet/decision", test_outlet);
  g_test_add_func ("/outlet/socket", test_socket);
  return g_test_run ();
}
