/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-frame.h"

static bool
has_stream (uint8_t type)
{
  return type >= PH_TLS_FRAME_DATA && type <= PH_TLS_FRAME_CREDIT;
}

void
ph_tls_frame_read_header (PhReader *r, PhTlsFrameHeader *ret_header)
{
  const uint8_t type = ph_read_u8 (r);
  const uint8_t flags = ph_read_u8 (r);
  const uint16_t len = ph_read_u16 (r);
  const uint32_t stream = ph_read_u32 (r);
  const bool may_end = type == PH_TLS_FRAME_DATA || type == PH_TLS_FRAME_CREDIT;

  *ret_header = (PhTlsFrameHeader){0};
  if (type < PH_TLS_FRAME_HELLO || type > PH_TLS_FRAME_CLOSE
      || len > (type == PH_TLS_FRAME_DATA ? PH_TLS_DATA_MAX : PH_TLS_CONTROL_MAX)
      || flags > (may_end ? PH_TLS_FLAG_FIN : 0) || (stream != 0 && !has_stream (type)))
    ph_reader_poison (r);
  if (ph_reader_ok (r))
    *ret_header = (PhTlsFrameHeader){type, (flags & PH_TLS_FLAG_FIN) != 0, len, stream};
}

void
ph_tls_frame_read_body (PhReader *r, uint8_t type, PhTlsFrameBody *ret_body)
{
  PhTlsFrameBody body = {0};

  switch ((PhTlsFrameType)type) {
  case PH_TLS_FRAME_HELLO:
    if (ph_read_u8 (r) != PH_TLS_VERSION)
      ph_reader_poison (r);
    body.limit = ph_read_u64 (r);
    body.stream_limit = ph_read_u64 (r);
    body.streams = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_RESET:
  case PH_TLS_FRAME_STOP:
    body.code = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_CREDIT:
    body.arrived = ph_read_u64 (r);
    body.limit = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_LINK_CREDIT:
    body.limit = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_STREAMS:
    body.streams = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_PING:
  case PH_TLS_FRAME_PONG:
    body.token = ph_read_u64 (r);
    break;
  case PH_TLS_FRAME_CLOSE:
    body.kind = ph_read_u8 (r);
    body.code = ph_read_u64 (r);
    body.reason = ph_read_slice (r, ph_reader_left (r));
    if (body.kind >= PH_TLS_N_CLOSES || body.reason.len > PH_TLS_REASON_MAX)
      ph_reader_poison (r);
    break;
  case PH_TLS_FRAME_DATA:
  default:
    ph_reader_poison (r);
    break;
  }
  if (ph_reader_left (r) > 0)
    ph_reader_poison (r);
  *ret_body = ph_reader_ok (r) ? body : (PhTlsFrameBody){0};
}

static void
write_header (PhWriter *w, uint8_t type, uint32_t stream, size_t len, bool fin)
{
  ph_write_u8 (w, type);
  ph_write_u8 (w, fin ? PH_TLS_FLAG_FIN : 0);
  ph_write_u16 (w, (uint16_t)len);
  ph_write_u32 (w, stream);
}

void
ph_tls_frame_write_data_header (PhWriter *w, uint32_t stream, size_t len, bool fin)
{
  write_header (w, PH_TLS_FRAME_DATA, stream, len, fin);
}

static void
write_body (PhWriter *w, uint8_t type, const PhTlsFrameBody *body)
{
  switch ((PhTlsFrameType)type) {
  case PH_TLS_FRAME_HELLO:
    ph_write_u8 (w, PH_TLS_VERSION);
    ph_write_u64 (w, body->limit);
    ph_write_u64 (w, body->stream_limit);
    ph_write_u64 (w, body->streams);
    break;
  case PH_TLS_FRAME_RESET:
  case PH_TLS_FRAME_STOP:
    ph_write_u64 (w, body->code);
    break;
  case PH_TLS_FRAME_CREDIT:
    ph_write_u64 (w, body->arrived);
    ph_write_u64 (w, body->limit);
    break;
  case PH_TLS_FRAME_LINK_CREDIT:
    ph_write_u64 (w, body->limit);
    break;
  case PH_TLS_FRAME_STREAMS:
    ph_write_u64 (w, body->streams);
    break;
  case PH_TLS_FRAME_PING:
  case PH_TLS_FRAME_PONG:
    ph_write_u64 (w, body->token);
    break;
  case PH_TLS_FRAME_CLOSE:
    ph_write_u8 (w, body->kind);
    ph_write_u64 (w, body->code);
    ph_write_slice (w, body->reason);
    break;
  case PH_TLS_FRAME_DATA:
  default:
    break;
  }
}

void
ph_tls_frame_write (PhWriter *w, uint8_t type, uint32_t stream, bool fin,
                    const PhTlsFrameBody *body)
{
  const size_t start = ph_writer_len (w);

  write_header (w, type, stream, 0, fin);
  write_body (w, type, body);
  if (ph_writer_ok (w))
    ph_writer_patch_u16 (w, start + 2,
                         (uint16_t)(ph_writer_len (w) - start - PH_TLS_FRAME_HEADER_LEN));
}
