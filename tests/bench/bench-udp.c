/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file over plain UDP with a system call for each datagram: no encryption, no hash, no GSO and no GRO. What a
 * transfer through a relay is measured against, for a relay takes and sends datagrams one by one as well.
 *
 *   bench-udp send|take FILE listen ADDR:PORT
 *   bench-udp send|take FILE relay SERVER:PORT USERNAME PASSWORD PEER    at a relayed address of a TURN
 *                            server, over a channel to whoever sends there from the address PEER
 *   bench-udp send|take FILE to ADDR:PORT
 *
 * The first two print "ADDR:PORT", for the third, when they are there.
 *
 * Every datagram says where its bytes belong. The receiver takes them in order, and tells after every 16 how far
 * it has got. What was told keeps a window open; a loss is mended by going back to where the receiver is. */

#include "net/io/ph-clock.h"
#include "net/io/ph-sockaddr.h"
#include "net/io/ph-system-random.h"
#include "net/turn/ph-turn-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD 8 /* the offset; an answer is one, too */
#define PAYLOAD 1440 /* with HEAD and a channel's header within 1472 */
#define PIECE ((size_t)PAYLOAD * 128) /* of the file, read and written at once */
#define TOLD_EVERY ((uint64_t)16 * PAYLOAD)
/* A socket buffer of a stock kernel holds about 180 datagrams: 208 KiB, doubled, of 2304 bytes each. Among them is
 * the one by which coturn hears its clients; the one of a relayed address holds 56, so that the sender had
 * better be the client. */
#define WINDOW ((uint64_t)128 * PAYLOAD)
#define LOSS_MS 20 /* nothing told for so long: something is missing */
#define SILENCE_MS 5000
#define SOCKET_BUFFER (4 << 20)

static G_NORETURN void
fail (const char *what)
{
  fprintf (stderr, "bench-udp: %s: %s\n", what, g_strerror (errno));
  exit (1);
}

/* --- The line ----------------------------------------------------------------------------------- */

typedef struct {
  int fd; /* connected to the other end once that is known, or to the relay */
  bool known;
  PhTurnClient *turn; /* NULL: no relay */
  PhAddr server;
  PhAddr peer; /* behind the relay */
} Line;

/* A datagram with room for the header of a channel before it. */
typedef struct {
  uint8_t headroom[PH_TURN_HEADROOM];
  uint8_t bytes[HEAD + PAYLOAD];
} Datagram;

static PhAddr
parse_address (const char *text, uint16_t port_default)
{
  PhAddr address;

  if (!ph_addr_parse (text, port_default, &address))
    fail (text);
  return address;
}

static void
announce (const PhAddr *address)
{
  char text[PH_ADDR_STRING_MAX];

  puts (ph_addr_format (address, text));
  fflush (stdout);
}

/* How long recv() waits. */
static void
line_set_silence (Line *self, int ms)
{
  const struct timeval silence = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

  setsockopt (self->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
}

static void
line_connect (Line *self, const PhAddr *address)
{
  PhSockaddr name;

  if (connect (self->fd, &name.sa, ph_sockaddr_from_addr (address, &name)) < 0)
    fail ("connect");
}

static void
line_write (Line *self, const void *bytes, size_t len)
{
  struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
  const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

  if (sendmsg (self->fd, &message, 0) < 0)
    fail ("send");
}

static void
line_flush_turn (Line *self)
{
  uint8_t bytes[PH_STUN_MESSAGE_MAX];
  PhTransmit tx = {.data = bytes, .cap = sizeof bytes};

  while (ph_turn_client_poll_transmit (self->turn, ph_clock_now (), &tx))
    line_write (self, bytes, tx.len);
}

static void
line_handle_turn_events (Line *self)
{
  PhTurnEvent event;

  while (ph_turn_client_poll_event (self->turn, &event)) {
    switch (event.type) {
    case PH_TURN_EVENT_ALLOCATED:
      ph_turn_client_permit (self->turn, ph_clock_now (), &self->peer);
      break;
    case PH_TURN_EVENT_PERMITTED: {
      const PhAddr relayed = ph_turn_client_relayed (self->turn);

      announce (&relayed);
      break;
    }
    case PH_TURN_EVENT_CHANNEL_READY:
      break;
    default:
      fail ("TURN");
    }
  }
  line_flush_turn (self);
}

static void
line_learn (Line *self, const PhAddr *peer)
{
  self->known = true;
  if (self->turn == NULL) {
    line_connect (self, peer);
    return;
  }
  self->peer = *peer;
  if (!ph_turn_client_bind (self->turn, ph_clock_now (), peer))
    fail ("channel");
  line_flush_turn (self);
}

/* The next datagram of the other end, in `buffer`; `data` NULL: nothing came in time. */
static PhSlice
line_receive (Line *self, uint8_t buffer[2048])
{
  for (;;) {
    PhSockaddr name;
    socklen_t name_len = sizeof name;
    const ssize_t got = recvfrom (self->fd, buffer, 2048, 0, self->known ? NULL : &name.sa,
                                  self->known ? NULL : &name_len);
    PhDatagram in = {.socket = 1, .remote = self->server}, data;

    if (got < 0 && errno == EAGAIN)
      return (PhSlice){0};
    if (got < 0)
      fail ("receive");
    in.bytes = data.bytes = ph_slice (buffer, (size_t)got);
    if (self->turn == NULL)
      data.remote = self->known ? self->peer : ph_sockaddr_to_addr (&name.sa);
    else if (ph_turn_client_handle_packet (self->turn, ph_clock_now (), &in, &data)
             != PH_TURN_IN_DATA) {
      line_handle_turn_events (self);
      continue;
    }
    if (!self->known)
      line_learn (self, &data.remote);
    return data.bytes;
  }
}

static void
line_send (Line *self, Datagram *datagram, size_t len)
{
  uint8_t indication[HEAD + PAYLOAD + PH_TURN_SEND_OVERHEAD];
  PhTransmit tx = {
      .data = datagram->headroom,
      .cap = sizeof *datagram,
      .len = PH_TURN_HEADROOM + len,
      .remote = self->peer,
  };

  if (self->turn == NULL) {
    line_write (self, datagram->bytes, len);
    return;
  }
  if (!ph_turn_client_wrap (self->turn, ph_clock_now (), &tx)) {
    tx.data = indication;
    tx.cap = sizeof indication;
    if (!ph_turn_client_send (self->turn, ph_clock_now (), &self->peer,
                              ph_slice (datagram->bytes, len), &tx))
      fail ("send by relay");
  }
  line_write (self, tx.data, tx.len);
}

static void
line_listen (Line *self, const char *address)
{
  const PhAddr local = parse_address (address, 0);
  PhSockaddr name;

  if (bind (self->fd, &name.sa, ph_sockaddr_from_addr (&local, &name)) < 0)
    fail (address);
  announce (&local);
}

static void
line_allocate (Line *self, char **arguments)
{
  const PhTurnClientConfig config = {
      .socket = 1,
      .relayed_socket = PH_SOCKET_RELAYED,
      .server = parse_address (arguments[0], 0),
      .username = arguments[1],
      .password = arguments[2],
      .random = ph_system_random (),
  };

  self->server = config.server;
  self->peer = parse_address (arguments[3], 1);
  line_connect (self, &self->server);
  self->turn = ph_turn_client_new (&config, ph_clock_now ());
  line_flush_turn (self);
}

static bool
line_open (Line *self, int n, char **where)
{
  const int size = SOCKET_BUFFER;

  self->fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  setsockopt (self->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt (self->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  line_set_silence (self, SILENCE_MS);
  if (n == 2 && strcmp (where[0], "listen") == 0) {
    line_listen (self, where[1]);
  } else if (n == 5 && strcmp (where[0], "relay") == 0) {
    line_allocate (self, where + 1);
  } else if (n == 2 && strcmp (where[0], "to") == 0) {
    const PhAddr remote = parse_address (where[1], 0);

    line_learn (self, &remote);
  } else {
    return false;
  }
  return true;
}

static void
line_close (Line *self)
{
  ph_turn_client_free (self->turn);
  close (self->fd);
}

/* --- Sending ------------------------------------------------------------------------------------ */

typedef struct {
  Line *line;
  int file;
  uint64_t size;
  uint64_t next; /* what is sent next */
  uint64_t told; /* the receiver has all before; past the end: it knows that this is all */
  uint8_t piece[PIECE];
  uint64_t piece_at; /* where `piece` is in the file */
  size_t piece_len;
} Sender;

static void
send_next (Sender *self)
{
  const size_t len = MIN ((uint64_t)PAYLOAD, self->size - self->next);
  Datagram datagram;

  if (self->next < self->piece_at || self->next + len > self->piece_at + self->piece_len) {
    const ssize_t got = pread (self->file, self->piece, PIECE, (off_t)self->next);

    if (got < (ssize_t)len)
      fail ("read");
    self->piece_at = self->next;
    self->piece_len = (size_t)got;
  }
  memcpy (datagram.bytes, &self->next, HEAD);
  memcpy (datagram.bytes + HEAD, self->piece + (self->next - self->piece_at), len);
  line_send (self->line, &datagram, HEAD + len);
  self->next += len;
}

static void
send_end (Sender *self)
{
  Datagram datagram;

  memcpy (datagram.bytes, &self->size, HEAD);
  line_send (self->line, &datagram, HEAD);
}

static void
run_sender (Line *line, const char *path)
{
  g_autofree Sender *self = g_new0 (Sender, 1);
  uint8_t buffer[2048];

  self->line = line;
  self->file = open (path, O_RDONLY | O_CLOEXEC);
  if (self->file < 0)
    fail (path);
  self->size = (uint64_t)lseek (self->file, 0, SEEK_END);
  if (!line->known && line_receive (line, buffer).data == NULL)
    fail ("nobody there");
  line_set_silence (line, LOSS_MS);
  for (int silent_ms = 0; self->told <= self->size;) {
    PhSlice answer;
    uint64_t told;

    while (self->next < self->size && self->next - self->told < WINDOW)
      send_next (self);
    if (self->told == self->size)
      send_end (self);
    answer = line_receive (line, buffer);
    if (answer.len == HEAD) {
      memcpy (&told, answer.data, HEAD);
      self->told = MAX (self->told, told);
      silent_ms = 0;
    } else if (answer.data == NULL && silent_ms < SILENCE_MS) {
      self->next = self->told;
      silent_ms += LOSS_MS;
    } else {
      fail ("answer");
    }
  }
  close (self->file);
}

/* --- Receiving ---------------------------------------------------------------------------------- */

typedef struct {
  Line *line;
  int file;
  uint64_t taken;
  uint64_t told;
  uint8_t piece[PIECE];
  size_t piece_len;
} Taker;

static void
taker_write (Taker *self)
{
  for (size_t at = 0; at < self->piece_len;) {
    const ssize_t wrote = write (self->file, self->piece + at, self->piece_len - at);

    if (wrote < 0)
      fail ("write");
    at += (size_t)wrote;
  }
  self->piece_len = 0;
}

static void
taker_tell (Taker *self, uint64_t told)
{
  Datagram datagram;

  self->told = told;
  memcpy (datagram.bytes, &told, HEAD);
  line_send (self->line, &datagram, HEAD);
}

/* False at the end, which is an empty datagram. */
static bool
taker_take (Taker *self, PhSlice datagram)
{
  const size_t len = datagram.len - HEAD;
  uint64_t at;

  if (datagram.len < HEAD || len > PAYLOAD)
    fail ("receive");
  memcpy (&at, datagram.data, HEAD);
  if (at != self->taken)
    return true;
  if (len == 0) {
    taker_write (self);
    taker_tell (self, self->taken + 1);
    return false;
  }
  memcpy (self->piece + self->piece_len, datagram.data + HEAD, len);
  self->piece_len += len;
  self->taken += len;
  if (self->piece_len > PIECE - PAYLOAD)
    taker_write (self);
  if (self->taken - self->told >= TOLD_EVERY || len < PAYLOAD)
    taker_tell (self, self->taken);
  return true;
}

static void
run_taker (Line *line, const char *path)
{
  g_autofree Taker *self = g_new0 (Taker, 1);
  uint8_t buffer[2048];
  PhSlice datagram;

  self->line = line;
  self->file = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (self->file < 0)
    fail (path);
  if (line->known)
    taker_tell (self, 0);
  do {
    datagram = line_receive (line, buffer);
  } while (taker_take (self, datagram));
  close (self->file);
}

int
main (int argc, char **argv)
{
  Line line = {0};

  if (argc < 5 || (strcmp (argv[1], "send") != 0 && strcmp (argv[1], "take") != 0)
      || !line_open (&line, argc - 3, argv + 3)) {
    fputs ("usage: bench-udp send|take FILE listen ADDR:PORT | to ADDR:PORT | "
           "relay SERVER:PORT USERNAME PASSWORD PEER\n",
           stderr);
    return 2;
  }
  if (strcmp (argv[1], "send") == 0)
    run_sender (&line, argv[2]);
  else
    run_taker (&line, argv[2]);
  line_close (&line);
  return 0;
}
