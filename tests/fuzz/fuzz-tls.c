/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an authenticated peer can say on a TLS link: frames, whole, cut and wrong.
 *
 * The input is a list of deeds: one byte says what; the frame codec is also run on the bytes as they are. */

#include "tests/support/ph-test-tls-liar.h"

typedef enum { DEED_HELLO, DEED_PLAIN, DEED_FRAME, DEED_DATA, DEED_OPEN, DEED_TIME, DEED_MAX } Deed;

static void
check_codec (PhSlice bytes)
{
  PhReader r = ph_reader (bytes);
  PhTlsFrameHeader header;
  PhTlsFrameBody body;

  ph_tls_frame_read_header (&r, &header);
  if (!ph_reader_ok (&r) || header.type == PH_TLS_FRAME_DATA || ph_reader_left (&r) < header.len)
    return;

  PhReader in = ph_reader (ph_read_slice (&r, header.len));

  ph_tls_frame_read_body (&in, header.type, &body);
  if (!ph_reader_ok (&in))
    return;

  uint8_t again[PH_TLS_FRAME_HEADER_LEN + PH_TLS_CONTROL_MAX];
  PhWriter w = ph_writer (again, sizeof again);

  ph_tls_frame_write (&w, header.type, header.stream, header.fin, &body);
  g_assert_true (ph_writer_ok (&w));
  g_assert_cmpmem (again, ph_writer_len (&w), bytes.data, PH_TLS_FRAME_HEADER_LEN + header.len);
}

static void
open_one (PhTestTlsLiar *liar)
{
  const int64_t stream = ph_link_open_stream (liar->link);
  const PhBufSlice data = {ph_buf_new (5000), 0, 5000};

  memset (data.buf->data, 0, data.len);
  ph_link_send (liar->link, stream, data, true);
}

static void
do_deed (PhTestTlsLiar *liar, PhReader *r)
{
  const uint8_t what = ph_read_u8 (r);
  const uint8_t more = ph_read_u8 (r);

  switch ((Deed)(what % DEED_MAX)) {
  case DEED_HELLO:
    ph_test_tls_liar_say_hello (liar);
    break;
  case DEED_PLAIN:
    ph_test_tls_liar_say (liar, ph_read_slice (r, MIN (more, ph_reader_left (r))));
    break;
  case DEED_FRAME: {
    PhTlsFrameBody body = {.arrived = ph_read_u64 (r)};

    body.limit = body.code = body.streams = body.token = ph_read_u64 (r);
    body.kind = more & 1;
    ph_test_tls_liar_say_frame (liar, (uint8_t)(PH_TLS_FRAME_RESET + more % 8), more >> 4,
                                (what & 0x80) != 0, body);
    break;
  }
  case DEED_DATA:
    ph_test_tls_liar_say_data (liar, more & 7, 300u * (more >> 3), 300u * (more >> 3),
                               (what & 0x80) != 0);
    break;
  case DEED_OPEN:
    if (more < 128)
      open_one (liar);
    else
      ph_link_reset_stream (liar->link, more & 15, 1);
    break;
  case DEED_TIME:
    liar->now += more * PH_SEC / 8;
    ph_link_handle_timeout (liar->link, liar->now);
    break;
  case DEED_MAX:
    g_assert_not_reached ();
  }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  PhTestTlsLiar liar;

  check_codec (ph_slice (data, size));
  ph_test_tls_liar_init (&liar);
  while (ph_reader_ok (&r) && ph_reader_left (&r) > 0
         && ph_link_state (liar.link) != PH_LINK_CLOSED)
    do_deed (&liar, &r);
  g_assert_cmpuint (liar.held, <=, 8 << 20);
  ph_test_tls_liar_clear (&liar);
  return 0;
}
