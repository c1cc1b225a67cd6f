/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-udp-private.h"

#include <errno.h>
#include <netinet/udp.h>

/* A GRO batch is at most 64 KiB. Eight of them are a few hundred packets for one system call and fit
 * the processor's second-level cache. */
#define RECEIVE_BUFFERS 8
#define RECEIVE_BUFFER_LEN 65536
/* Read at most so much before the owner may answer, so that acknowledgements are not late and other
 * sources get their turn. */
#define RECEIVE_BYTES_MAX (1u << 20)
/* One call of `received`: all that eight batches of 64 packets hold. */
#define DATAGRAMS_MAX 512

#define CONTROL_LEN (CMSG_SPACE (sizeof (int)) * 2 + CMSG_SPACE (sizeof (uint32_t)))

typedef struct {
  bool busy;
  struct mmsghdr msgs[RECEIVE_BUFFERS];
  struct iovec iovs[RECEIVE_BUFFERS];
  PhSockaddr names[RECEIVE_BUFFERS];
  _Alignas (struct cmsghdr) uint8_t control[RECEIVE_BUFFERS][CONTROL_LEN];
  uint8_t data[RECEIVE_BUFFERS][RECEIVE_BUFFER_LEN];
  PhDatagram datagrams[DATAGRAMS_MAX];
  size_t n_datagrams;
} Arena;

static GPrivate thread_arena = G_PRIVATE_INIT (g_free);

static Arena *
take_arena (void)
{
  Arena *arena = g_private_get (&thread_arena);

  if (arena == NULL) {
    arena = g_malloc (sizeof *arena);
    arena->busy = false;
    g_private_set (&thread_arena, arena);
  }
  g_assert (!arena->busy);
  arena->busy = true;
  return arena;
}

static void
prepare (Arena *arena)
{
  for (size_t i = 0; i < RECEIVE_BUFFERS; i++) {
    arena->iovs[i] = (struct iovec){arena->data[i], RECEIVE_BUFFER_LEN};
    arena->msgs[i].msg_hdr = (struct msghdr){
        .msg_name = &arena->names[i],
        .msg_namelen = sizeof arena->names[i],
        .msg_iov = &arena->iovs[i],
        .msg_iovlen = 1,
        .msg_control = arena->control[i],
        .msg_controllen = CONTROL_LEN,
    };
  }
  arena->n_datagrams = 0;
}

static void
read_control (PhUdp *self, struct msghdr *hdr, uint8_t *ret_ecn, size_t *ret_segment)
{
  *ret_ecn = 0;
  *ret_segment = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR (hdr); c != NULL; c = CMSG_NXTHDR (hdr, c)) {
    const uint8_t *value = CMSG_DATA (c);

    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment;

      memcpy (&segment, value, sizeof segment);
      *ret_segment = segment > 0 ? (size_t)segment : 0;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      *ret_ecn = value[0] & 3;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int tclass;

      memcpy (&tclass, value, sizeof tclass);
      *ret_ecn = (uint8_t)(tclass & 3);
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      uint32_t drops;

      memcpy (&drops, value, sizeof drops);
      self->stats.kernel_drops = drops;
    }
  }
}

static void
hand_over (PhUdp *self, Arena *arena)
{
  size_t n = arena->n_datagrams;

  arena->n_datagrams = 0;
  self->stats.datagrams_received += n;
  if (n > 0 && !self->closed)
    self->callbacks.received (self->user, arena->datagrams, n);
}

static void
split (PhUdp *self, Arena *arena, size_t i)
{
  struct msghdr *hdr = &arena->msgs[i].msg_hdr;
  size_t left = arena->msgs[i].msg_len;
  const uint8_t *p = arena->data[i];
  PhAddr remote = ph_sockaddr_to_addr (&arena->names[i].sa);
  uint8_t ecn;
  size_t segment;

  read_control (self, hdr, &ecn, &segment);
  if ((hdr->msg_flags & MSG_TRUNC) != 0) {
    self->stats.truncated++;
    return;
  }
  /* Not by way of the translator: nobody knows this port by that address. */
  if (self->way.prefix.len > 0 && !ph_nat64_extract (&self->way.prefix, &remote, &remote))
    return;
  self->stats.bytes_received += left;
  if (segment == 0)
    segment = left;
  if (left > segment)
    self->stats.gro_batches++;

  /* At least once: an empty datagram is one too. */
  do {
    size_t len = MIN (left, segment);

    if (arena->n_datagrams == DATAGRAMS_MAX)
      hand_over (self, arena);
    arena->datagrams[arena->n_datagrams++] =
        (PhDatagram){.socket = self->id, .remote = remote, .ecn = ecn, .bytes = ph_slice (p, len)};
    p += len;
    left -= len;
  } while (left > 0);
}

void
ph_udp_receive (PhUdp *self)
{
  Arena *arena = take_arena ();
  size_t bytes = 0;
  bool any = false;

  while (bytes < RECEIVE_BYTES_MAX && !self->closed) {
    int n;

    prepare (arena);
    n = recvmmsg (self->fd, arena->msgs, RECEIVE_BUFFERS, MSG_DONTWAIT, NULL);
    self->stats.receive_calls++;
    if (n <= 0) {
      /* An error that is pending on the socket is cleared by having been told; the next dispatch
       * goes on. */
      if (n < 0 && errno != EAGAIN && errno != EINTR)
        self->stats.soft_errors++;
      break;
    }
    any = true;
    for (int i = 0; i < n; i++) {
      bytes += arena->msgs[i].msg_len;
      split (self, arena, (size_t)i);
    }
    hand_over (self, arena);
    if (n < RECEIVE_BUFFERS)
      break; /* a short batch has emptied the socket */
  }
  arena->busy = false;

  if (any && !self->closed)
    self->callbacks.batch_done (self->user);
}
