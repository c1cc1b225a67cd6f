/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel cannot make of a network, made by the simulator's models over AF_PACKET, in real time.
 *
 *     lab-box nat INSIDE OUTSIDE HOST ROUTER PUBLIC   a router whose NAT gives out ports in sequence
 *     lab-box wire A B [whole]                        a wire between two interfaces, with delay
 *
 * As a NAT it stands in for the kernel's forwarding in a namespace of its own: HOST is the one address
 * behind it, ROUTER and PUBLIC are the namespace's. The kernel there answers ARP and drops the rest of
 * what comes in. UDP and TCP are translated by one model each, TCP segment by segment as if each were a
 * datagram: a mapping's ports do not depend on the connection's state. ICMP, fragments and everything
 * else vanish.
 *
 * As a wire it carries whole frames, whatever is in them. With `whole` also those that nobody has cut yet, as network
 * cards are handed them: the wire is then as fast as memory, but its rate and loss count them as one.
 *
 * Commands come as lines on standard input, each is answered with "ok", its end is the program's end:
 *
 *     delay MS      one way, both directions (wire)
 *     rate KBIT     a second, each direction; a queue of 100 ms before it (wire)
 *     loss PPM      chance of a frame to be lost (wire)
 *     reorder PPM   chance of a frame to be overtaken (wire)
 *     forget        all mappings, as after a restart (nat)
 *
 * Segmentation offload has to be off where frames are made, but for `whole`: see network.py. */

#include "tests/sim/ph-sim-nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 65536
/* What is not cut yet, its Ethernet header, and what the kernel says about it (struct virtio_net_hdr). */
#define WHOLE_FRAME_MAX (FRAME_MAX + 64)
/* Read from one interface before the other has its turn. */
#define BURST 64
/* Room for some milliseconds at the speed of memory. */
#define RECEIVE_BUFFER (8 << 20)
/* Before a line of limited rate: what a household's router holds back at most. */
#define QUEUE_INTERVAL (100 * PH_MSEC)
/* A frame that is overtaken comes this much later. */
#define REORDER_DELAY (5 * PH_MSEC)
/* nf_conntrack_tcp_timeout_established is days; a test never waits for it. */
#define TCP_TIMEOUT (7440 * PH_SEC)

typedef enum { UDP, TCP, N_PROTOS } Proto;

typedef struct _Box Box;

/* Where the simulated network ends and a real interface begins. */
typedef struct {
  PhSimNode node;
  Box *box;
  int out;
} Edge;

struct _Box {
  PhSim *sim;
  PhTime began;
  bool is_nat;
  bool is_whole;
  int in[2]; /* AF_PACKET on the two interfaces: inside and outside, or A and B */
  int out[2]; /* raw IP for a NAT, the same as `in` for a wire */
  PhSimIface *edges[2][N_PROTOS]; /* a wire has but the first of each */
  PhSimNat *nats[N_PROTOS];
  uint8_t *frame;
};

static void G_GNUC_NORETURN G_GNUC_PRINTF (1, 2) die (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fprintf (stderr, "\n");
  exit (1);
}

static PhTime
box_now (const Box *self)
{
  struct timespec ts;

  clock_gettime (CLOCK_BOOTTIME, &ts);
  return PH_SIM_START + (PhTime)ts.tv_sec * PH_SEC + (PhTime)ts.tv_nsec - self->began;
}

/* --- IP packets --------------------------------------------------------------------------------- */

static uint16_t
get_u16 (const uint8_t *p)
{
  return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put_u16 (uint8_t *p, uint16_t value)
{
  p[0] = (uint8_t)(value >> 8);
  p[1] = (uint8_t)value;
}

static size_t
ip_header (const uint8_t *packet)
{
  return (size_t)(packet[0] & 15) * 4;
}

/* The length of a UDP or TCP packet that is whole, and its addresses; 0 for anything else. */
static size_t
ip_parse (const uint8_t *packet, size_t len, Proto *ret_proto, PhAddr *ret_src, PhAddr *ret_dst)
{
  if (len < 20 || packet[0] >> 4 != 4 || ip_header (packet) < 20)
    return 0;

  const size_t header = ip_header (packet);
  const size_t total = get_u16 (packet + 2);
  const bool fragment = (get_u16 (packet + 6) & 0x3fff) != 0;

  if (total > len || fragment || (packet[9] != IPPROTO_UDP && packet[9] != IPPROTO_TCP))
    return 0;
  if (total < header + (packet[9] == IPPROTO_UDP ? 8 : 20))
    return 0;

  *ret_proto = packet[9] == IPPROTO_UDP ? UDP : TCP;
  *ret_src = ph_addr_from_bytes ((PhSlice){packet + 12, 4}, get_u16 (packet + header));
  *ret_dst = ph_addr_from_bytes ((PhSlice){packet + 16, 4}, get_u16 (packet + header + 2));
  return total;
}

static uint32_t
sum_words (uint32_t sum, const uint8_t *bytes, size_t len)
{
  for (size_t i = 0; i + 1 < len; i += 2)
    sum += get_u16 (bytes + i);
  if (len % 2 == 1)
    sum += (uint32_t)bytes[len - 1] << 8;
  return sum;
}

/* The checksum in full and not by its difference: what a local sender leaves to the hardware is not
 * there yet. The header's own is the kernel's. */
static void
ip_write (uint8_t *packet, size_t len, const PhSimPacket *from)
{
  const size_t header = ip_header (packet);
  uint8_t *payload = packet + header;
  uint8_t *checksum = payload + (packet[9] == IPPROTO_UDP ? 6 : 16);
  uint32_t sum;

  packet[8] = from->ttl;
  memcpy (packet + 12, from->src.ip, 4);
  memcpy (packet + 16, from->dst.ip, 4);
  put_u16 (payload, from->src.port);
  put_u16 (payload + 2, from->dst.port);
  put_u16 (checksum, 0);
  sum = sum_words ((uint32_t)(packet[9] + len - header), packet + 12, 8);
  sum = sum_words (sum, payload, len - header);
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  put_u16 (checksum, sum == 0xffff ? 0xffff : (uint16_t)~sum);
}

/* --- Edges -------------------------------------------------------------------------------------- */

/* What the interface does not take at once is lost, as on any wire. */
static void
edge_deliver (PhSimNode *node, PhSimIface *in, PhSimPacket *packet)
{
  const Edge *self = (Edge *)node;

  if (self->box->is_nat) {
    struct sockaddr_in to = {.sin_family = AF_INET};

    ip_write (packet->bytes, packet->len, packet);
    memcpy (&to.sin_addr, packet->dst.ip, 4);
    sendto (self->out, packet->bytes, packet->len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
  } else {
    send (self->out, packet->bytes, packet->len, MSG_DONTWAIT);
  }
  ph_sim_packet_free (packet);
}

static void
edge_free (PhSimNode *node)
{
  g_free (node);
}

static const PhSimNodeClass edge_class = {edge_deliver, edge_free};

static PhSimIface *
edge_new (Box *box, unsigned side, PhSimSegment *segment, const PhAddr *ip)
{
  Edge *self = g_new0 (Edge, 1);

  self->box = box;
  self->out = box->out[side];
  ph_sim_node_init (&self->node, &edge_class, box->sim, side == 0 ? "inside" : "outside");
  return ph_sim_node_attach (&self->node, segment, ip);
}

static int
packet_socket (const char *interface, int type, int protocol)
{
  const int fd = socket (AF_PACKET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1, buffer = RECEIVE_BUFFER;
  const unsigned index = if_nametoindex (interface);
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET,
      .sll_protocol = htons ((uint16_t)protocol),
      .sll_ifindex = (int)index,
  };
  struct packet_mreq promiscuous = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};

  if (fd < 0 || index == 0)
    die ("%s: %s", interface, strerror (errno));
  if (setsockopt (fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0
      || setsockopt (fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0
      || bind (fd, (struct sockaddr *)&address, sizeof address) != 0)
    die ("%s: %s", interface, strerror (errno));
  setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  return fd;
}

/* The kernel finds the neighbour and writes the frame. */
static int
ip_socket (const char *interface)
{
  const int fd = socket (AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

  if (fd < 0
      || setsockopt (fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen (interface))
             != 0)
    die ("%s: %s", interface, strerror (errno));
  return fd;
}

/* --- The two boxes ------------------------------------------------------------------------------ */

static PhAddr
parse_ip (const char *text)
{
  PhAddr ip;

  if (!ph_addr_parse (text, 1, &ip) || ip.family != PH_FAMILY_IPV4)
    die ("%s: not an IPv4 address", text);
  ip.port = 0;
  return ip;
}

static void
box_make_nat (Box *self, char **argv)
{
  const PhAddr host = parse_ip (argv[2]), router = parse_ip (argv[3]), public = parse_ip (argv[4]);
  const PhAddr internet = ph_addr_ipv4 (0, 0, 0, 1, 0);

  self->is_nat = true;
  for (unsigned side = 0; side < 2; side++) {
    self->in[side] = packet_socket (argv[side], SOCK_DGRAM, ETH_P_IP);
    self->out[side] = ip_socket (argv[side]);
  }
  for (unsigned proto = 0; proto < N_PROTOS; proto++) {
    const PhSimNatConfig config = {
        .mapping = PH_SIM_APD,
        .filtering = PH_SIM_APD,
        .ports = PH_SIM_PORT_SEQUENTIAL,
        .timeout_interval = proto == TCP ? TCP_TIMEOUT : 0,
    };
    PhSimSegment *inside = ph_sim_segment_new (self->sim, "inside", 0);
    PhSimSegment *outside = ph_sim_segment_new (self->sim, "outside", 0);

    self->edges[0][proto] = edge_new (self, 0, inside, &host);
    self->edges[1][proto] = edge_new (self, 1, outside, &internet);
    ph_sim_segment_set_gateway (outside, self->edges[1][proto]);
    self->nats[proto] =
        ph_sim_nat_new (self->sim, "nat", &config, inside, &router, outside, &public);
  }
}

static void
box_make_wire (Box *self, char **argv)
{
  PhSimSegment *segment = ph_sim_segment_new (self->sim, "wire", 0);

  for (unsigned side = 0; side < 2; side++) {
    const PhAddr name = ph_addr_ipv4 (0, 0, 0, (uint8_t)(side + 1), 0);

    self->in[side] = self->out[side] = packet_socket (argv[side], SOCK_RAW, ETH_P_ALL);
    self->edges[side][0] = edge_new (self, side, segment, &name);
    if (self->is_whole) {
      const int one = 1;

      if (setsockopt (self->in[side], SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) != 0)
        die ("%s: %s", argv[side], strerror (errno));
      ph_sim_iface_up (self->edges[side][0])->mtu = 2 * FRAME_MAX;
      ph_sim_iface_down (self->edges[side][0])->mtu = 2 * FRAME_MAX;
    }
  }
}

/* Frames of a wire have no addresses that matter: each goes to the other end. */
static void
box_inject (Box *self, unsigned side, size_t len)
{
  PhAddr src = ph_addr_ipv4 (0, 0, 0, (uint8_t)(side + 1), 0);
  PhAddr dst = ph_addr_ipv4 (0, 0, 0, (uint8_t)(2 - side), 0);
  Proto proto = UDP;
  PhSimPacket *packet;

  if (self->is_nat) {
    len = ip_parse (self->frame, len, &proto, &src, &dst);
    if (len == 0)
      return;
  }
  packet = ph_sim_packet_new (&src, &dst, (PhSlice){self->frame, len});
  if (self->is_nat)
    packet->ttl = self->frame[8];
  ph_sim_iface_send (self->edges[side][proto], packet);
}

static void
box_receive (Box *self, unsigned side)
{
  for (unsigned i = 0; i < BURST; i++) {
    const ssize_t n = recv (self->in[side], self->frame, WHOLE_FRAME_MAX, MSG_DONTWAIT);

    if (n <= 0)
      return;
    box_inject (self, side, (size_t)n);
  }
}

/* --- Commands ----------------------------------------------------------------------------------- */

static void
box_condition (Box *self, const char *name, unsigned value)
{
  for (unsigned side = 0; side < 2; side++) {
    PhSimCable *cable = ph_sim_iface_up (self->edges[side][0]);

    if (g_str_equal (name, "delay"))
      cable->delay = value * PH_MSEC;
    else if (g_str_equal (name, "rate")) {
      cable->rate = value * 1000ull / 8;
      cable->queue_bytes = (size_t)(cable->rate * QUEUE_INTERVAL / PH_SEC);
    } else if (g_str_equal (name, "loss"))
      cable->loss_ppm = value;
    else if (g_str_equal (name, "reorder"))
      cable->reorder_ppm = value;
    else
      die ("%s: no such condition", name);
    cable->reorder_delay = REORDER_DELAY;
  }
}

static void
box_command (Box *self, const char *line)
{
  char name[16];
  unsigned value;

  if (self->is_nat && g_str_equal (line, "forget\n")) {
    for (unsigned proto = 0; proto < N_PROTOS; proto++)
      ph_sim_nat_forget (self->nats[proto]);
  } else if (!self->is_nat && sscanf (line, "%15s %u", name, &value) == 2) {
    box_condition (self, name, value);
  } else {
    die ("not understood: %s", line);
  }
  puts ("ok");
  fflush (stdout);
}

static void
box_run (Box *self)
{
  struct pollfd fds[] = {
      {.fd = STDIN_FILENO, .events = POLLIN},
      {.fd = self->in[0], .events = POLLIN},
      {.fd = self->in[1], .events = POLLIN},
  };
  char line[64];

  for (;;) {
    const PhTime wait = ph_time_since (ph_sim_next (self->sim), box_now (self));
    const struct timespec timeout = {.tv_sec = (time_t)(MIN (wait, PH_SEC) / PH_SEC),
                                     .tv_nsec = (long)(MIN (wait, PH_SEC) % PH_SEC)};

    if (ppoll (fds, G_N_ELEMENTS (fds), &timeout, NULL) < 0 && errno != EINTR)
      die ("poll: %s", strerror (errno));
    ph_sim_run (self->sim, box_now (self));
    if (fds[0].revents != 0) {
      if (fgets (line, sizeof line, stdin) == NULL)
        return;
      box_command (self, line);
    }
    for (unsigned side = 0; side < 2; side++) {
      if (fds[1 + side].revents != 0)
        box_receive (self, side);
    }
    ph_sim_run (self->sim, box_now (self));
  }
}

int
main (int argc, char **argv)
{
  Box box = {.frame = g_malloc (WHOLE_FRAME_MAX)};

  /* Read with poll() beside it: nothing may wait in a buffer. */
  setvbuf (stdin, NULL, _IONBF, 0);
  box.sim = ph_sim_new (1);
  box.began = box_now (&box) - PH_SIM_START;
  box.is_whole = argc == 5 && g_str_equal (argv[4], "whole");
  if (argc == 7 && g_str_equal (argv[1], "nat"))
    box_make_nat (&box, argv + 2);
  else if ((argc == 4 || box.is_whole) && g_str_equal (argv[1], "wire"))
    box_make_wire (&box, argv + 2);
  else
    die ("usage: lab-box nat INSIDE OUTSIDE HOST ROUTER PUBLIC | lab-box wire A B [whole]");
  puts ("ok");
  fflush (stdout);
  box_run (&box);
  ph_sim_free (box.sim);
  g_free (box.frame);
  return 0;
}
