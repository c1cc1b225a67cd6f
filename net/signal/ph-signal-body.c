/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-signal-body.h"

#include "net/signal/ph-envelope.h"

#include <glib.h>

enum {
  TAG_GENERATION = 1,
  TAG_ECHO = 2,
  TAG_UFRAG = 3,
  TAG_PWD = 4,
  TAG_FEATURES = 5,
  TAG_CANDIDATE = 6,
  TAG_END = 7,
  TAG_REASON = 8,
  TAG_NAT_KIND = 9,
  TAG_NAT_STEP = 10,
  TAG_PREDICTION = 11,
};

#define PREDICTION_LEN 6
/* Steps of real NATs are 1 or 2, of odd ones some more. */
#define NAT_STEP_MAX 1024

/* --- Writing ------------------------------------------------------------------------------------ */

static void
put_slice (PhWriter *w, uint64_t tag, PhSlice value)
{
  ph_write_varint (w, tag);
  ph_write_counted (w, value);
}

static void
put_u64 (PhWriter *w, uint64_t tag, uint64_t value)
{
  ph_write_varint (w, tag);
  ph_write_varint (w, 8);
  ph_write_u64 (w, value);
}

static void
put_varint (PhWriter *w, uint64_t tag, uint64_t value)
{
  ph_write_varint (w, tag);
  ph_write_varint (w, ph_varint_len (value));
  ph_write_varint (w, value);
}

static void
put_nat (PhWriter *w, const PhSignalMessage *message)
{
  const uint64_t step = (uint64_t)message->nat_step;
  uint8_t bytes[PREDICTION_LEN];
  PhWriter inner = ph_writer (bytes, sizeof bytes);

  put_varint (w, TAG_NAT_KIND, message->nat_kind);
  put_varint (w, TAG_NAT_STEP, step << 1 ^ (message->nat_step < 0 ? UINT64_MAX : 0));
  if (message->prediction.family != PH_FAMILY_IPV4)
    return;
  ph_write_slice (&inner, ph_addr_ip (&message->prediction));
  ph_write_u16 (&inner, message->prediction.port);
  put_slice (w, TAG_PREDICTION, ph_slice (bytes, sizeof bytes));
}

static void
put_fields (PhWriter *w, const PhSignalMessage *message)
{
  put_u64 (w, TAG_GENERATION, message->generation);
  switch (message->type) {
  case PH_SIGNAL_PARAMS:
    put_u64 (w, TAG_ECHO, message->echo);
    put_slice (w, TAG_UFRAG, message->ufrag);
    put_slice (w, TAG_PWD, message->pwd);
    put_varint (w, TAG_FEATURES, message->features);
    break;
  case PH_SIGNAL_CANDIDATES:
    for (unsigned i = 0; i < message->n_candidates; i++)
      put_slice (w, TAG_CANDIDATE, message->candidates[i]);
    if (message->end)
      put_slice (w, TAG_END, ph_slice (NULL, 0));
    break;
  case PH_SIGNAL_BYE:
    put_varint (w, TAG_REASON, message->reason);
    break;
  case PH_SIGNAL_NAT:
    put_nat (w, message);
    break;
  }
}

void
ph_signal_message_write (PhWriter *w, const PhSignalMessage *message)
{
  uint8_t content[PH_ENVELOPE_BODY_MAX];
  PhWriter inner = ph_writer (content, sizeof content);

  g_assert (message->generation != 0);
  g_assert (message->n_candidates <= PH_SIGNAL_CANDIDATES_MAX);
  g_assert (message->ufrag.len <= PH_SIGNAL_CREDENTIAL_MAX);
  g_assert (message->pwd.len <= PH_SIGNAL_CREDENTIAL_MAX);
  for (unsigned i = 0; i < message->n_candidates; i++)
    g_assert (message->candidates[i].len <= PH_SIGNAL_CANDIDATE_LEN_MAX);

  put_fields (&inner, message);
  g_assert (ph_writer_ok (&inner));
  put_slice (w, message->type, ph_slice (content, ph_writer_len (&inner)));
}

/* --- Reading ------------------------------------------------------------------------------------ */

static uint64_t
get_u64 (PhSlice value, PhReader *outer)
{
  PhReader r = ph_reader (value);
  const uint64_t number = ph_read_u64 (&r);

  if (!ph_reader_done (&r))
    ph_reader_poison (outer);
  return number;
}

static uint64_t
get_varint (PhSlice value, PhReader *outer)
{
  PhReader r = ph_reader (value);
  const uint64_t number = ph_read_varint (&r);

  if (!ph_reader_done (&r))
    ph_reader_poison (outer);
  return number;
}

static PhSlice
get_credential (PhSlice value, PhReader *outer)
{
  if (value.len > PH_SIGNAL_CREDENTIAL_MAX)
    ph_reader_poison (outer);
  return value;
}

static int64_t
get_step (PhSlice value, PhReader *outer)
{
  const uint64_t number = get_varint (value, outer);
  const int64_t half = (int64_t)(number >> 1);
  const int64_t step = (number & 1) != 0 ? -half - 1 : half;

  if (step > NAT_STEP_MAX || step < -NAT_STEP_MAX) {
    ph_reader_poison (outer);
    return 0;
  }
  return step;
}

static PhAddr
get_prediction (PhSlice value, PhReader *outer)
{
  PhReader r = ph_reader (value);
  const PhSlice ip = ph_read_slice (&r, 4);
  const uint16_t port = ph_read_u16 (&r);

  if (!ph_reader_done (&r)) {
    ph_reader_poison (outer);
    return (PhAddr){0};
  }
  return ph_addr_from_bytes (ip, port);
}

static void
get_field (PhReader *r, uint64_t tag, PhSlice value, PhSignalMessage *message)
{
  switch (tag) {
  case TAG_GENERATION:
    message->generation = get_u64 (value, r);
    break;
  case TAG_ECHO:
    message->echo = get_u64 (value, r);
    break;
  case TAG_UFRAG:
    message->ufrag = get_credential (value, r);
    break;
  case TAG_PWD:
    message->pwd = get_credential (value, r);
    break;
  case TAG_FEATURES:
    message->features = get_varint (value, r);
    break;
  case TAG_CANDIDATE:
    if (message->n_candidates == PH_SIGNAL_CANDIDATES_MAX || value.len == 0
        || value.len > PH_SIGNAL_CANDIDATE_LEN_MAX)
      ph_reader_poison (r);
    else
      message->candidates[message->n_candidates++] = value;
    break;
  case TAG_END:
    message->end = true;
    break;
  case TAG_REASON:
    message->reason = get_varint (value, r);
    break;
  case TAG_NAT_KIND:
    message->nat_kind = get_varint (value, r);
    break;
  case TAG_NAT_STEP:
    message->nat_step = get_step (value, r);
    break;
  case TAG_PREDICTION:
    message->prediction = get_prediction (value, r);
    break;
  default: /* a newer Porthole's */
    break;
  }
}

static bool
parse_content (PhSignalType type, PhSlice content, PhSignalMessage *ret_message)
{
  PhReader r = ph_reader (content);
  PhSignalMessage message = {.type = type};

  while (ph_reader_ok (&r) && ph_reader_left (&r) > 0) {
    const uint64_t tag = ph_read_varint (&r);
    const PhSlice value = ph_read_counted (&r, PH_ENVELOPE_BODY_MAX);

    if (ph_reader_ok (&r))
      get_field (&r, tag, value, &message);
  }
  if (!ph_reader_ok (&r) || message.generation == 0)
    return false;
  if (type == PH_SIGNAL_PARAMS && (message.ufrag.len == 0 || message.pwd.len == 0))
    return false;
  *ret_message = message;
  return true;
}

PhSignalParse
ph_signal_message_next (PhReader *r, PhSignalMessage *ret_message)
{
  while (ph_reader_ok (r) && ph_reader_left (r) > 0) {
    const uint64_t type = ph_read_varint (r);
    const PhSlice content = ph_read_counted (r, PH_ENVELOPE_BODY_MAX);

    if (!ph_reader_ok (r))
      break;
    if (type < PH_SIGNAL_PARAMS || type > PH_SIGNAL_NAT)
      continue;
    if (parse_content ((PhSignalType)type, content, ret_message))
      return PH_SIGNAL_OK;
    ph_reader_poison (r);
  }
  return ph_reader_ok (r) ? PH_SIGNAL_END : PH_SIGNAL_MALFORMED;
}
