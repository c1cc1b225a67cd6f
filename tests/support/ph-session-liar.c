/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-session-liar.h"

#include "tests/support/ph-test.h"

#include <nettle/sha2.h>

void
ph_liar_send (PhLiar *l, int64_t stream, const void *bytes, size_t len, bool fin)
{
  PhBufSlice slice = {0};

  if (len > 0)
    slice = (PhBufSlice){ph_buf_new_copy (ph_slice (bytes, len)), 0, len};
  ph_link_send (l->link, stream, slice, fin);
}

int64_t
ph_liar_open (PhLiar *l, uint8_t type)
{
  const int64_t stream = ph_link_open_stream (l->link);

  g_assert_cmpint (stream, >=, 0);
  ph_liar_send (l, stream, &type, 1, false);
  return stream;
}

void
ph_liar_frame (PhLiar *l, const PhFrame *frame)
{
  uint8_t bytes[PH_FRAME_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);

  ph_frame_encode (frame, &w);
  ph_liar_send (l, l->control, bytes, ph_writer_len (&w), false);
}

void
ph_liar_hear (PhLiar *l, PhLinkEvent *event)
{
  if (event->data.len > 0) {
    const uint8_t *data = ph_buf_slice_data (&event->data);

    if (l->heard_stream < 0 && data[0] == PH_STREAM_CONTROL)
      l->heard_stream = event->stream;
    if (l->heard_stream == event->stream) {
      g_byte_array_append (l->heard, data, (unsigned)event->data.len);
    } else if (event->stream > l->data_stream && data[0] == PH_STREAM_DATA) {
      l->data_stream = event->stream;
      g_byte_array_set_size (l->data, 0);
    }
    if (l->data_stream == event->stream)
      g_byte_array_append (l->data, data, (unsigned)event->data.len);
    ph_link_consumed (l->link, event->stream, event->data.len);
  }
  l->closed += event->type == PH_LINK_EVENT_CLOSED;
  ph_buf_slice_clear (&event->data);
}

void
ph_liar_run (PhLiar *l)
{
  PhLinkEvent event;
  bool any = true;

  while (any) {
    l->now += PH_MSEC;
    ph_session_peer_poll (l->peer, l->now);
    any = ph_fake_pair_step (l->pair);
    while (ph_link_poll_event (l->pair->b, &event)) {
      any = true;
      ph_session_handle_link_event (l->peer->session, l->now, l->pair->b, &event);
      ph_buf_slice_clear (&event.data);
      ph_session_peer_poll (l->peer, l->now);
    }
    while (l->reads && ph_link_poll_event (l->pair->a, &event)) {
      any = true;
      ph_liar_hear (l, &event);
    }
    any |= ph_session_peer_work (l->peer, l->now);
    ph_session_peer_poll (l->peer, l->now);
  }
}

unsigned
ph_liar_heard (PhLiar *l, PhFrameType type, PhFrame *ret_frame)
{
  PhSlice rest;
  unsigned count = 0;

  if (l->heard->len == 0)
    return 0;
  g_assert_cmpuint (l->heard->data[0], ==, PH_STREAM_CONTROL);
  rest = ph_slice (l->heard->data + 1, l->heard->len - 1);
  while (rest.len > 0) {
    PhFrame frame;
    size_t len;

    if (ph_frame_decode (rest, &frame, &len) != PH_FRAME_OK)
      break; /* the rest of it is on its way */
    if (frame.type == type) {
      count++;
      if (ret_frame != NULL)
        *ret_frame = frame;
    }
    rest = ph_slice (rest.data + len, rest.len - len);
  }
  return count;
}

void
ph_liar_hello (PhLiar *l)
{
  PhFrame frame = {.type = PH_FRAME_HELLO};

  frame.hello.version = PH_SESSION_VERSION;
  frame.hello.name = ph_slice_string ("liar");
  l->control = ph_liar_open (l, PH_STREAM_CONTROL);
  ph_liar_frame (l, &frame);
}

void
ph_liar_connect (PhLiar *l)
{
  ph_fake_pair_free (l->pair);
  l->pair = ph_fake_pair_new (ph_random_seeded (&l->state), NULL);
  l->link = l->pair->a;
  l->heard_stream = -1;
  l->data_stream = -1;
  g_byte_array_set_size (l->heard, 0);
  g_byte_array_set_size (l->data, 0);
  ph_session_add_link (l->peer->session, l->now, l->pair->b, false);
}

PhLiar *
ph_liar_new (void)
{
  PhLiar *l = g_new0 (PhLiar, 1);

  ph_random_seeded_init (&l->state, ph_test_seed ());
  l->now = PH_SEC;
  l->reads = true;
  l->heard = g_byte_array_new ();
  l->data = g_byte_array_new ();
  l->peer = ph_session_peer_new ("victim", ph_random_seeded (&l->state), NULL);
  l->peer->accepts = true;
  ph_liar_connect (l);
  return l;
}

PhLiar *
ph_liar_new_on (PhLink *link)
{
  PhLiar *l = g_new0 (PhLiar, 1);

  l->link = link;
  l->heard_stream = -1;
  l->data_stream = -1;
  l->heard = g_byte_array_new ();
  l->data = g_byte_array_new ();
  return l;
}

void
ph_liar_free (PhLiar *l)
{
  if (l == NULL)
    return;
  ph_session_peer_free (l->peer);
  ph_fake_pair_free (l->pair);
  g_byte_array_unref (l->heard);
  g_byte_array_unref (l->data);
  g_free (l);
}

/* --- Manifest and offers that are all right ------------------------------------------------------ */

PhManifest *
ph_liar_manifest (void)
{
  PhManifestBuilder *b = ph_manifest_builder_new ();

  ph_manifest_builder_add (b, PH_ENTRY_FOLDER, "folder", 0, 0);
  ph_manifest_builder_add (b, PH_ENTRY_FILE, "folder/a", 10, 0);
  ph_manifest_builder_add (b, PH_ENTRY_FILE, "folder/empty", 0, 0);
  ph_manifest_builder_add (b, PH_ENTRY_FILE, "b", 20, 0);
  return ph_manifest_builder_end (b);
}

void
ph_liar_fill_offer (PhFrame *frame, uint8_t id, PhManifest *manifest)
{
  g_autoptr (GBytes) encoded = ph_manifest_encode (manifest);
  gsize len;

  *frame = (PhFrame){.type = PH_FRAME_OFFER, .id = {{id}}};
  frame->offer.lost = true;
  frame->offer.serial = id;
  frame->offer.entries = ph_manifest_len (manifest);
  frame->offer.bytes = ph_manifest_bytes (manifest);
  memcpy (frame->offer.manifest_digest, ph_manifest_digest (manifest), PH_SHA256_LEN);
  frame->offer.manifest.data = g_bytes_get_data (encoded, &len); /* the manifest keeps it */
  frame->offer.manifest.len = len;
  frame->offer.manifest_size = len;
}

void
ph_liar_offer (PhLiar *l, uint8_t id)
{
  g_autoptr (PhManifest) manifest = ph_liar_manifest ();
  PhFrame frame;

  ph_liar_fill_offer (&frame, id, manifest);
  ph_liar_frame (l, &frame);
}

PhPeerTransfer *
ph_liar_transfer (PhLiar *l, uint8_t id)
{
  return ph_session_peer_find (l->peer, &(PhTransferId){{id}});
}

void
ph_liar_expect_error (PhLiar *l, PhSessionCode code)
{
  ph_liar_run (l);
  g_assert_cmpuint (l->peer->told[PH_SESSION_EVENT_LINK_ERROR], ==, 1);
  g_assert_cmpuint (l->peer->link_code, ==, code);
  g_assert_cmpuint (ph_fake_link_close_code (l->pair->b), ==, code);
  g_assert_cmpuint (l->closed, ==, 1);
}

/* Zeros as contents: their digests are right. */
void
ph_liar_record (PhLiar *l, int64_t stream, const PhLie *lie)
{
  const PhRecordHead head = {lie->type, lie->file, lie->offset, lie->len};
  uint8_t bytes[PH_RECORD_HEAD_MAX + 64 + PH_SHA256_LEN];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  struct sha256_ctx ctx;
  uint8_t digest[PH_SHA256_LEN];
  static const uint8_t zeros[64];

  ph_record_head_encode (&head, &w);
  ph_write_zeros (&w, (size_t)(lie->given == PH_LIE_ALL ? lie->len : lie->given));
  if (lie->type == PH_RECORD_LAST && lie->given == PH_LIE_ALL) {
    sha256_init (&ctx);
    sha256_update (&ctx, (size_t)(lie->offset + lie->len), zeros);
    sha256_digest (&ctx, sizeof digest, digest);
    ph_write_bytes (&w, digest, sizeof digest);
  }
  g_assert_true (ph_writer_ok (&w));
  ph_liar_send (l, stream, bytes, ph_writer_len (&w), false);
}

int64_t
ph_liar_segment (PhLiar *l, uint8_t id, uint64_t attempt, uint64_t segment)
{
  const PhSegmentHead head = {{{id}}, attempt, segment};
  uint8_t bytes[PH_SEGMENT_HEAD_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  const int64_t stream = ph_liar_open (l, PH_STREAM_DATA);

  ph_segment_head_encode (&head, &w);
  ph_liar_send (l, stream, bytes, ph_writer_len (&w), false);
  return stream;
}
