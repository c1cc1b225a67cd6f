/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

/* RFC 9000 §14.1: a client pads every datagram with an Initial to this. */
#define INITIAL_DATAGRAM_MIN 1200

bool
ph_quic_is_initial (PhSlice datagram, PhSlice *ret_dcid, PhSlice *ret_scid)
{
  ngtcp2_version_cid vc;

  /* Form and fixed bits, type Initial: RFC 9000 §17.2.2. */
  if (datagram.len < INITIAL_DATAGRAM_MIN || (datagram.data[0] & 0xf0) != 0xc0)
    return false;
  if (ngtcp2_pkt_decode_version_cid (&vc, datagram.data, datagram.len, PH_QUIC_CID_LEN) != 0
      || vc.version != NGTCP2_PROTO_VER_V1 || vc.dcidlen < NGTCP2_MIN_INITIAL_DCIDLEN)
    return false;

  *ret_dcid = ph_slice (vc.dcid, vc.dcidlen);
  *ret_scid = ph_slice (vc.scid, vc.scidlen);
  return true;
}

bool
ph_quic_link_owns (const PhLink *link, PhSlice datagram)
{
  const PhQuicLink *self = ph_quic_const (link);
  ngtcp2_version_cid vc;

  if (datagram.len == 0 || (datagram.data[0] & 0x40) == 0
      || ngtcp2_pkt_decode_version_cid (&vc, datagram.data, datagram.len, PH_QUIC_CID_LEN) != 0)
    return false;
  for (size_t i = 0; i < self->n_cids; i++) {
    const ngtcp2_cid *cid = &self->cids[i];

    if (ph_slice_equal (ph_slice (cid->data, cid->datalen), ph_slice (vc.dcid, vc.dcidlen)))
      return true;
  }
  return false;
}
