/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The floor: a file over UDP with AES-128-GCM for each packet, GSO and GRO, and no protocol: no handshake
 * (the key is in this file), no loss recovery, no hash. What QUIC with GnuTLS cannot go below.
 *
 *   bench-floor take ADDR:PORT FILE    prints a line when it listens
 *   bench-floor send ADDR:PORT FILE
 *
 * A window of 4 MiB, told forward by the receiver after every 256 KiB, keeps the socket buffers from
 * overflowing; a datagram lost all the same ends both with an error after a silence of 5 s. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEGMENT 1472 /* what a packet of 1500 bytes carries over IPv4 */
#define COUNTER 8
#define TAG 16
#define PAYLOAD (SEGMENT - COUNTER - TAG)
#define BATCH 44u /* datagrams a sendmsg: 64 KiB */
#define PIECE (256 * 1024)
#define WINDOW (4u << 20)
#define SOCKET_BUFFER (16 << 20)
#define SILENCE_MS 5000

static const uint8_t key_bytes[16] = "porthole bench!";

static G_NORETURN void
fail (const char *what)
{
  fprintf (stderr, "bench-floor: %s: %s\n", what, g_strerror (errno));
  exit (1);
}

static gnutls_aead_cipher_hd_t
new_cipher (void)
{
  const gnutls_datum_t key = {.data = (unsigned char *)key_bytes, .size = sizeof key_bytes};
  gnutls_aead_cipher_hd_t cipher;

  if (gnutls_aead_cipher_init (&cipher, GNUTLS_CIPHER_AES_128_GCM, &key) != 0)
    fail ("AES-128-GCM");
  return cipher;
}

static void
make_nonce (uint8_t nonce[12], uint64_t counter)
{
  memset (nonce, 0, 4);
  memcpy (nonce + 4, &counter, sizeof counter);
}

static int
open_socket (const char *address, struct sockaddr_in *ret_address)
{
  g_auto (GStrv) parts = g_strsplit (address, ":", 2);
  const int size = SOCKET_BUFFER;
  const int fd = socket (AF_INET, SOCK_DGRAM, 0);

  if (fd < 0 || g_strv_length (parts) != 2)
    fail (address);
  *ret_address =
      (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons ((uint16_t)atoi (parts[1]))};
  if (inet_pton (AF_INET, parts[0], &ret_address->sin_addr) != 1)
    fail (address);
  setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  return fd;
}

static void
await_input (int fd)
{
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

  if (poll (&poll_fd, 1, SILENCE_MS) <= 0)
    fail ("silence");
}

/* Encrypts up to BATCH packets from the front of `data` into `out`; returns how much of it they took. */
static size_t
seal_batch (gnutls_aead_cipher_hd_t cipher, uint64_t *counter, const uint8_t *data, size_t len,
            uint8_t *out, size_t *ret_len)
{
  size_t taken = 0, made = 0;

  for (unsigned i = 0; i < BATCH && taken < len; i++) {
    const size_t part = MIN (len - taken, (size_t)PAYLOAD);
    size_t sealed = SEGMENT - COUNTER;
    uint8_t nonce[12];

    make_nonce (nonce, *counter);
    memcpy (out + made, counter, COUNTER);
    if (gnutls_aead_cipher_encrypt (cipher, nonce, sizeof nonce, NULL, 0, TAG, data + taken, part,
                                    out + made + COUNTER, &sealed)
        != 0)
      fail ("encrypt");
    (*counter)++;
    taken += part;
    made += COUNTER + sealed;
  }
  *ret_len = made;
  return taken;
}

static void
send_all (int fd, const uint8_t *bytes, size_t len)
{
  struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
  uint8_t control[CMSG_SPACE (sizeof (uint16_t))] = {0};
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *segment = CMSG_FIRSTHDR (&message);

  segment->cmsg_level = SOL_UDP;
  segment->cmsg_type = UDP_SEGMENT;
  segment->cmsg_len = CMSG_LEN (sizeof (uint16_t));
  *(uint16_t *)(void *)CMSG_DATA (segment) = SEGMENT;
  if (sendmsg (fd, &message, 0) < 0)
    fail ("send");
}

/* The receiver tells how many bytes it has, the last time with the highest bit set. */
#define ALL (1ull << 63)

static void
run_sender (const char *address, const char *path)
{
  struct sockaddr_in remote;
  const int fd = open_socket (address, &remote);
  const int file = open (path, O_RDONLY | O_CLOEXEC);
  g_autofree uint8_t *piece = g_malloc (PIECE);
  g_autofree uint8_t *out = g_malloc ((size_t)BATCH * SEGMENT);
  gnutls_aead_cipher_hd_t cipher = new_cipher ();
  uint64_t counter = 0, sent = 0, acked = 0;
  ssize_t got;

  if (file < 0 || connect (fd, (struct sockaddr *)&remote, sizeof remote) < 0)
    fail (path);
  while ((got = read (file, piece, PIECE)) > 0) {
    for (size_t at = 0, made; at < (size_t)got;) {
      const size_t taken = seal_batch (cipher, &counter, piece + at, (size_t)got - at, out, &made);

      while (sent + taken > acked + WINDOW) {
        await_input (fd);
        if (recv (fd, &acked, sizeof acked, 0) != sizeof acked)
          fail ("acknowledgement");
      }
      send_all (fd, out, made);
      at += taken;
      sent += taken;
    }
  }
  if (got < 0)
    fail (path);
  /* An empty packet ends it. */
  for (size_t made = 0; (acked & ~ALL) < sent || (acked & ALL) == 0;) {
    if (made == 0) {
      uint8_t nonce[12];
      size_t sealed = TAG;

      make_nonce (nonce, counter);
      memcpy (out, &counter, COUNTER);
      if (gnutls_aead_cipher_encrypt (cipher, nonce, sizeof nonce, NULL, 0, TAG, "", 0,
                                      out + COUNTER, &sealed)
          != 0)
        fail ("encrypt");
      made = COUNTER + sealed;
      if (send (fd, out, made, 0) < 0)
        fail ("send");
    }
    await_input (fd);
    if (recv (fd, &acked, sizeof acked, 0) != sizeof acked)
      fail ("acknowledgement");
  }
  gnutls_aead_cipher_deinit (cipher);
  close (file);
  close (fd);
}

static void
write_all (int file, const uint8_t *bytes, size_t len)
{
  while (len > 0) {
    const ssize_t wrote = write (file, bytes, len);

    if (wrote < 0)
      fail ("write");
    bytes += wrote;
    len -= (size_t)wrote;
  }
}

static void
run_taker (const char *address, const char *path)
{
  struct sockaddr_in local, remote;
  const int fd = open_socket (address, &local);
  const int file = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const int on = 1;
  g_autofree uint8_t *in = g_malloc (1 << 16);
  g_autofree uint8_t *piece = g_malloc (PIECE + (1 << 16));
  gnutls_aead_cipher_hd_t cipher = new_cipher ();
  uint64_t received = 0, told = 0, expected = 0;
  size_t held = 0;
  bool ended = false;

  if (file < 0 || bind (fd, (struct sockaddr *)&local, sizeof local) < 0
      || setsockopt (fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0)
    fail (address);
  puts ("listening");
  fflush (stdout);
  while (!ended) {
    socklen_t remote_len = sizeof remote;
    ssize_t got;

    await_input (fd);
    got = recvfrom (fd, in, 1 << 16, 0, (struct sockaddr *)&remote, &remote_len);
    if (got < 0)
      fail ("receive");
    for (size_t at = 0; at < (size_t)got;) {
      const size_t len = MIN ((size_t)got - at, (size_t)SEGMENT);
      size_t opened = PAYLOAD;
      uint64_t counter;
      uint8_t nonce[12];

      memcpy (&counter, in + at, COUNTER);
      if (counter != expected++)
        fail ("a packet is missing");
      make_nonce (nonce, counter);
      if (len < COUNTER + TAG
          || gnutls_aead_cipher_decrypt (cipher, nonce, sizeof nonce, NULL, 0, TAG,
                                         in + at + COUNTER, len - COUNTER, piece + held, &opened)
                 != 0)
        fail ("decrypt");
      ended = opened == 0;
      held += opened;
      received += opened;
      at += len;
    }
    if (held >= PIECE || ended) {
      write_all (file, piece, held);
      held = 0;
    }
    if (received - told >= PIECE || ended) {
      const uint64_t word = ended ? received | ALL : received;

      told = received;
      if (sendto (fd, &word, sizeof word, 0, (struct sockaddr *)&remote, remote_len) < 0)
        fail ("acknowledge");
    }
  }
  gnutls_aead_cipher_deinit (cipher);
  close (file);
  close (fd);
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "send") == 0)
    run_sender (argv[2], argv[3]);
  else if (argc == 4 && strcmp (argv[1], "take") == 0)
    run_taker (argv[2], argv[3]);
  else {
    fputs ("usage: bench-floor take ADDR:PORT FILE | send ADDR:PORT FILE\n", stderr);
    return 2;
  }
  return 0;
}
