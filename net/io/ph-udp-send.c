/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-udp-private.h"

#include <errno.h>
#include <netinet/udp.h>

/* What every kernel with UDP_SEGMENT accepts in one call. */
#define GSO_SEGMENTS_MAX 64
/* 65,535 less the IPv6 and UDP headers. */
#define GSO_BYTES_MAX (65535 - 48)
/* One sendmmsg call where there is no UDP_SEGMENT. */
#define SENDMMSG_MAX 64

typedef struct {
  PhSockaddr name;
  socklen_t name_len;
  _Alignas (struct cmsghdr)
      uint8_t control[2 * CMSG_SPACE (sizeof (int)) + CMSG_SPACE (sizeof (uint16_t))];
  size_t control_len;
} Header;

static void
add_control (Header *header, int level, int type, const void *value, size_t len)
{
  struct cmsghdr *c = (struct cmsghdr *)(void *)(header->control + header->control_len);

  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN (len);
  memcpy (CMSG_DATA (c), value, len);
  header->control_len += CMSG_SPACE (len);
}

static Header
make_header (const PhTransmit *tx, bool gso)
{
  Header header = {0};

  header.name_len = ph_sockaddr_from_addr (&tx->remote, &header.name);
  if (tx->ecn != 0) {
    int tos = tx->ecn;

    if (tx->remote.family == PH_FAMILY_IPV4)
      add_control (&header, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    else
      add_control (&header, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
  }
  if (tx->ttl != 0) {
    int ttl = tx->ttl;

    if (tx->remote.family == PH_FAMILY_IPV4)
      add_control (&header, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    else
      add_control (&header, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof ttl);
  }
  if (gso)
    add_control (&header, SOL_UDP, UDP_SEGMENT, &tx->segment, sizeof tx->segment);
  return header;
}

static struct msghdr
make_message (Header *header, struct iovec *iov)
{
  return (struct msghdr){
      .msg_name = &header->name,
      .msg_namelen = header->name_len,
      .msg_iov = iov,
      .msg_iovlen = 1,
      .msg_control = header->control_len > 0 ? header->control : NULL,
      .msg_controllen = header->control_len,
  };
}

static void
advance (PhUdp *self, PhTransmit *tx, size_t len, size_t n_datagrams)
{
  g_assert (len <= tx->len);
  tx->data += len;
  tx->len -= len;
  self->stats.datagrams_sent += n_datagrams;
  self->stats.bytes_sent += len;
}

/* What an errno of a send means. A datagram too large for the interface is sent and lost. */
static PhUdpResult
judge (PhUdp *self, int err)
{
  switch (err) {
  case EAGAIN:
    self->stats.blocked++;
    return PH_UDP_BLOCKED;
  case EMSGSIZE:
    self->stats.too_large++;
    return PH_UDP_SENT;
  default:
    self->stats.soft_errors++;
    return PH_UDP_ERROR;
  }
}

/* Sends up to `n_max` datagrams of tx one by one. */
static PhUdpResult
send_singly (PhUdp *self, PhTransmit *tx, size_t n_max)
{
  Header header = make_header (tx, false);
  struct mmsghdr msgs[SENDMMSG_MAX] = {0};
  struct iovec iovs[SENDMMSG_MAX];
  size_t size = tx->segment > 0 ? tx->segment : tx->len;
  size_t off = 0;
  size_t n = 0;
  size_t sent = 0;
  int r;

  while (n < MIN (n_max, SENDMMSG_MAX) && off < tx->len) {
    iovs[n] = (struct iovec){tx->data + off, MIN (size, tx->len - off)};
    msgs[n].msg_hdr = make_message (&header, &iovs[n]);
    off += iovs[n].iov_len;
    n++;
  }
  do {
    r = sendmmsg (self->fd, msgs, (unsigned)n, MSG_DONTWAIT);
  } while (r < 0 && errno == EINTR);
  self->stats.send_calls++;
  if (r < 0) {
    PhUdpResult result = judge (self, errno);

    if (result == PH_UDP_SENT)
      advance (self, tx, iovs[0].iov_len, 0);
    return result;
  }
  for (int i = 0; i < r; i++)
    sent += iovs[i].iov_len;
  advance (self, tx, sent, (size_t)r);
  return PH_UDP_SENT;
}

/* The kernel would not take a batch: either it cannot do UDP_SEGMENT (or the device below cannot), or
 * the segments are larger than the interface's MTU, which older kernels report with the same code. The
 * first segment, sent alone, tells which. */
static PhUdpResult
send_refused_batch (PhUdp *self, PhTransmit *tx)
{
  uint64_t too_large = self->stats.too_large;
  PhUdpResult result = send_singly (self, tx, 1);

  if (result == PH_UDP_SENT && self->stats.too_large == too_large)
    self->gso = false;
  return result;
}

static PhUdpResult
send_batch (PhUdp *self, PhTransmit *tx)
{
  Header header = make_header (tx, true);
  size_t n = MIN (GSO_SEGMENTS_MAX, (size_t)GSO_BYTES_MAX / tx->segment);
  struct iovec iov = {tx->data, MIN (tx->len, n * tx->segment)};
  struct msghdr msg = make_message (&header, &iov);
  ssize_t r;

  if (n < 2)
    return send_singly (self, tx, SENDMMSG_MAX);
  do {
    r = sendmsg (self->fd, &msg, MSG_DONTWAIT);
  } while (r < 0 && errno == EINTR);
  self->stats.send_calls++;
  if (r < 0) {
    if (errno == EIO || errno == EINVAL || errno == EMSGSIZE || errno == EOPNOTSUPP)
      return send_refused_batch (self, tx);
    return judge (self, errno);
  }
  self->stats.gso_batches++;
  advance (self, tx, iov.iov_len, (iov.iov_len + tx->segment - 1) / tx->segment);
  return PH_UDP_SENT;
}

PhUdpResult
ph_udp_transmit (PhUdp *self, PhTransmit *tx)
{
  while (tx->len > 0) {
    bool batch = self->gso && tx->segment > 0 && tx->len > tx->segment;
    PhUdpResult result = batch ? send_batch (self, tx) : send_singly (self, tx, SENDMMSG_MAX);

    if (result != PH_UDP_SENT)
      return result;
  }
  return PH_UDP_SENT;
}
