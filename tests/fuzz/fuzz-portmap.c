/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a script: time, and what a router says to a port mapping client. It never makes a packet
 * that is not a request, never more of them than its timers allow, and what it tells was told. */

#include "net/portmap/ph-nat-pmp.h"
#include "net/portmap/ph-portmap.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define STEPS_MAX 200

typedef struct {
  PhRandomSeeded seed;
  PhPortmap *portmap;
  PhTime now;
  uint8_t last[PH_PCP_REQUEST_MAX];
  size_t last_len;
  uint32_t upnp_id;
} Fuzz;

static void
settle (Fuzz *f)
{
  uint8_t data[1500];
  PhTransmit tx = {.data = data, .cap = sizeof data};
  PhPortmapEvent event;
  PhPortmapUpnp task;
  unsigned n = 0;

  while (ph_portmap_poll_transmit (f->portmap, f->now, &tx)) {
    g_assert (tx.len == 24 || tx.len == 60 || tx.len == 2 || tx.len == 12);
    g_assert (tx.remote.port == PH_PCP_PORT);
    memcpy (f->last, data, tx.len);
    f->last_len = tx.len;
    g_assert (++n <= 2 * PH_PORTMAP_MAX + 2);
  }
  while (ph_portmap_poll_event (f->portmap, &event)) {
    g_assert (event.id >= 1 && event.id <= PH_PORTMAP_MAX);
    g_assert (!ph_addr_is_set (&event.external) || event.external.port != 0);
    g_assert (++n <= 4 * PH_PORTMAP_MAX + 2);
  }
  while (ph_portmap_poll_upnp (f->portmap, &task))
    f->upnp_id = task.id;
}

/* The last request come back as an answer, with what the script puts over it. */
static size_t
forge (const Fuzz *f, PhReader *r, uint8_t out[128])
{
  const size_t len = ph_read_u8 (r) % 64;

  memset (out, 0, 128);
  if (f->last_len > 24)
    memcpy (out + 24, f->last + 24, f->last_len - 24);
  out[0] = f->last[0];
  out[1] = f->last[1] | 0x80;
  if (f->last_len == 12)
    memcpy (out + 8, f->last + 4, 4);
  out[6] = out[7] = out[14] = 9;
  for (unsigned n = ph_read_u8 (r) % 8; n > 0; n--) {
    const uint8_t at = ph_read_u8 (r) % 64;

    out[at] = ph_read_u8 (r);
  }
  return len == 0 ? MAX (f->last_len, 8) : len;
}

static void
step (Fuzz *f, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r);
  PhAddr from = ph_addr_ipv4 (10, 0, 0, 1, PH_PCP_PORT);
  uint8_t bytes[128];
  const char *why;

  if (what % 4 == 0) {
    const PhTime next = ph_portmap_next_timeout (f->portmap, &why);

    if (next != PH_NEVER)
      f->now = MAX (f->now, next);
    ph_portmap_handle_timeout (f->portmap, f->now);
  } else if (what % 4 == 1) {
    const size_t len = forge (f, r, bytes);

    ph_portmap_handle_packet (f->portmap, f->now, &(PhDatagram){1, from, 0, {bytes, len}});
  } else if (what % 4 == 2) {
    const PhSlice raw = ph_read_slice (r, MIN (what / 4, ph_reader_left (r)));

    ph_portmap_handle_packet (f->portmap, f->now, &(PhDatagram){1, from, 0, raw});
  } else {
    from.port = ph_read_u8 (r);
    ph_portmap_upnp_done (f->portmap, f->now, f->upnp_id, (PhPortmapUpnpResult)(what / 4 % 3),
                          &from, what);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  Fuzz f = {.now = 100 * PH_SEC};
  PhPortmapConfig config = {
      .socket = 1,
      .local = ph_addr_ipv4 (10, 0, 0, 2, 0),
      .gateway = ph_addr_ipv4 (10, 0, 0, 1, 0),
  };

  ph_random_seeded_init (&f.seed, 1);
  config.random = ph_random_seeded (&f.seed);
  f.portmap = ph_portmap_new (&config, f.now);
  for (uint32_t i = 1; i <= 3; i++)
    ph_portmap_add (f.portmap, f.now, i, i == 2 ? PH_PORTMAP_TCP : PH_PORTMAP_UDP,
                    (uint16_t)(5000 + i));
  settle (&f);
  for (unsigned i = 0; i < STEPS_MAX && ph_reader_left (&r) > 0; i++) {
    step (&f, &r);
    settle (&f);
  }
  ph_portmap_close (f.portmap, f.now);
  settle (&f);
  ph_portmap_free (f.portmap);
  return 0;
}
