/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a STUN message: every getter, the integrity, and writing it anew, which must give a
 * message that reads the same. */

#include "net/stun/ph-stun.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
read_everything (const PhStunMessage *message)
{
  const uint16_t known[] = {PH_STUN_USERNAME, PH_STUN_PRIORITY};
  uint16_t unknown[4];
  PhSlice slice;
  PhAddr addr;
  uint32_t u32;
  uint64_t u64;
  unsigned code;

  ph_stun_unknown (message, known, G_N_ELEMENTS (known), unknown, G_N_ELEMENTS (unknown));
  ph_stun_get_u32 (message, PH_STUN_PRIORITY, &u32);
  ph_stun_get_u64 (message, PH_STUN_ICE_CONTROLLING, &u64);
  ph_stun_get_addr (message, PH_STUN_OTHER_ADDRESS, &addr);
  ph_stun_check_integrity (message, ph_slice_string ("key"));
  if (ph_stun_get_error (message, &code, &slice)) {
    g_assert (code >= 300);
    g_assert (code <= 699);
  }
  if (ph_stun_get_mapped (message, &addr))
    g_assert (ph_addr_is_set (&addr));
}

static void
write_anew (const PhStunMessage *message)
{
  g_autofree uint8_t *out = g_malloc (message->bytes.len + 64);
  PhWriter w = ph_writer (out, message->bytes.len + 64);
  PhReader r = ph_reader (message->attrs);
  PhStunMessage again;
  PhStunAttr attr;

  ph_stun_begin (&w, message->klass, message->method, &message->id);
  while (ph_stun_attr_next (&r, &attr) == PH_STUN_PARSE_OK)
    ph_stun_put (&w, attr.type, attr.value);
  if (ph_writer_len (&w) > 65000)
    return; /* no room in the length field for what seals it */
  ph_stun_put_integrity (&w, ph_slice_string ("key"));
  ph_stun_put_fingerprint (&w);
  g_assert (ph_writer_ok (&w));
  g_assert (ph_stun_parse (ph_slice (out, ph_writer_len (&w)), &again));
  g_assert (ph_stun_check_integrity (&again, ph_slice_string ("key")));
  g_assert (again.klass == message->klass);
  g_assert (again.method == message->method);
  g_assert (again.attrs.len == message->attrs.len);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhStunMessage message;

  if (!ph_stun_parse (ph_slice (data, size), &message))
    return 0;
  g_assert (ph_stun_is_stun (ph_slice (data, size)));
  read_everything (&message);
  write_anew (&message);
  return 0;
}
