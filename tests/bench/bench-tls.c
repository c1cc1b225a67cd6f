/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file over TCP with TLS 1.3 and AES-128-GCM (GnuTLS), and no more: no resume. What a transfer on a TLS link
 * is measured against, as bench-floor.c is for one on QUIC.
 *
 *   bench-tls take ADDR:PORT FILE [sha256]    prints a line when it listens
 *   bench-tls send ADDR:PORT FILE [sha256]
 *
 * With sha256 both ends hash what they read and write (nettle) and compare.
 *
 * Either side knows the other by a key that is in this file. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (256 * 1024)
#define PRIORITY "NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+SHA256:+GROUP-X25519:+ECDHE-PSK:+SIGN-ALL"

static G_NORETURN void
fail (const char *what, const char *why)
{
  fprintf (stderr, "bench-tls: %s: %s\n", what, why);
  exit (1);
}

static int
supply_key (gnutls_session_t session, const char *name, gnutls_datum_t *key)
{
  static const char bytes[] = "porthole bench!";

  key->data = gnutls_malloc (sizeof bytes);
  key->size = sizeof bytes;
  memcpy (key->data, bytes, sizeof bytes);
  return 0;
}

static struct sockaddr_in
parse_address (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", 2);
  struct sockaddr_in address = {.sin_family = AF_INET};

  if (g_strv_length (parts) != 2 || inet_pton (AF_INET, parts[0], &address.sin_addr) != 1)
    fail (text, "not ADDR:PORT");
  address.sin_port = htons ((uint16_t)atoi (parts[1]));
  return address;
}

static gnutls_session_t
new_session (int fd, bool is_client)
{
  gnutls_session_t session;
  int result = gnutls_init (&session, is_client ? GNUTLS_CLIENT : GNUTLS_SERVER);

  if (result == 0)
    result = gnutls_priority_set_direct (session, PRIORITY, NULL);
  if (result == 0 && is_client) {
    gnutls_psk_client_credentials_t credentials;
    gnutls_datum_t key = {0};

    supply_key (session, NULL, &key);
    gnutls_psk_allocate_client_credentials (&credentials);
    gnutls_psk_set_client_credentials (credentials, "bench", &key, GNUTLS_PSK_KEY_RAW);
    result = gnutls_credentials_set (session, GNUTLS_CRD_PSK, credentials);
  } else if (result == 0) {
    gnutls_psk_server_credentials_t credentials;

    gnutls_psk_allocate_server_credentials (&credentials);
    gnutls_psk_set_server_credentials_function (credentials, supply_key);
    result = gnutls_credentials_set (session, GNUTLS_CRD_PSK, credentials);
  }
  if (result != 0)
    fail ("TLS", gnutls_strerror (result));
  gnutls_transport_set_int (session, fd);
  do
    result = gnutls_handshake (session);
  while (result < 0 && !gnutls_error_is_fatal (result));
  if (result < 0)
    fail ("handshake", gnutls_strerror (result));
  return session;
}

static void
send_bytes (gnutls_session_t session, const uint8_t *bytes, size_t len)
{
  while (len > 0) {
    const ssize_t sent = gnutls_record_send (session, bytes, len);

    if (sent < 0 && gnutls_error_is_fatal ((int)sent))
      fail ("send", gnutls_strerror ((int)sent));
    bytes += MAX (sent, 0);
    len -= (size_t)MAX (sent, 0);
  }
}

static void
run_sender (const char *text, const char *path, bool hashes)
{
  const struct sockaddr_in address = parse_address (text);
  const int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int file = open (path, O_RDONLY | O_CLOEXEC);
  g_autofree uint8_t *piece = g_malloc (PIECE);
  gnutls_session_t session;
  struct sha256_ctx sha256;
  uint8_t ours[SHA256_DIGEST_SIZE], theirs[SHA256_DIGEST_SIZE];
  ssize_t got;

  sha256_init (&sha256);
  if (fd < 0 || file < 0 || connect (fd, (const struct sockaddr *)&address, sizeof address) < 0)
    fail (path, g_strerror (errno));
  session = new_session (fd, true);
  while ((got = read (file, piece, PIECE)) > 0) {
    if (hashes)
      sha256_update (&sha256, (size_t)got, piece);
    send_bytes (session, piece, (size_t)got);
  }
  gnutls_bye (session, GNUTLS_SHUT_WR);
  sha256_digest (&sha256, sizeof ours, ours);
  if (got < 0 || gnutls_record_recv (session, theirs, sizeof theirs) != sizeof theirs
      || memcmp (ours, theirs, sizeof ours) != 0)
    fail (path, "the other side has not got everything");
  gnutls_deinit (session);
  close (file);
  close (fd);
}

static void
write_all (int file, const uint8_t *bytes, size_t len)
{
  while (len > 0) {
    const ssize_t wrote = write (file, bytes, len);

    if (wrote < 0)
      fail ("write", g_strerror (errno));
    bytes += wrote;
    len -= (size_t)wrote;
  }
}

static void
run_taker (const char *text, const char *path, bool hashes)
{
  const struct sockaddr_in address = parse_address (text);
  const int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int file = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const int on = 1;
  g_autofree uint8_t *piece = g_malloc (PIECE);
  struct sha256_ctx sha256;
  uint8_t digest[SHA256_DIGEST_SIZE];
  size_t held = 0;
  ssize_t got;

  sha256_init (&sha256);
  setsockopt (listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (file < 0 || bind (listener, (const struct sockaddr *)&address, sizeof address) < 0
      || listen (listener, 1) < 0)
    fail (text, g_strerror (errno));
  puts ("listening");
  fflush (stdout);

  const int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  gnutls_session_t session = new_session (fd, false);

  while ((got = gnutls_record_recv (session, piece + held, PIECE - held)) != 0) {
    if (got < 0 && gnutls_error_is_fatal ((int)got))
      fail ("receive", gnutls_strerror ((int)got));
    if (hashes)
      sha256_update (&sha256, (size_t)MAX (got, 0), piece + held);
    held += (size_t)MAX (got, 0);
    if (held == PIECE) {
      write_all (file, piece, held);
      held = 0;
    }
  }
  write_all (file, piece, held);
  sha256_digest (&sha256, sizeof digest, digest);
  send_bytes (session, digest, sizeof digest);
  gnutls_deinit (session);
  close (file);
  close (fd);
  close (listener);
}

int
main (int argc, char **argv)
{
  const bool hashes = argc == 5 && strcmp (argv[4], "sha256") == 0;

  if (argc == 4 + hashes && strcmp (argv[1], "send") == 0)
    run_sender (argv[2], argv[3], hashes);
  else if (argc == 4 + hashes && strcmp (argv[1], "take") == 0)
    run_taker (argv[2], argv[3], hashes);
  else {
    fputs ("usage: bench-tls send|take ADDR:PORT FILE [sha256]\n", stderr);
    return 2;
  }
  return 0;
}
