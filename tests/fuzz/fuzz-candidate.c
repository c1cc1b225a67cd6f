/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a candidate, in both forms. What is read is written, and reads the same again. */

#include "net/ice/ph-ice-candidate.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
assert_same (const PhCandidate *a, const PhCandidate *b)
{
  g_assert (a->transport == b->transport);
  g_assert (a->priority == b->priority);
  g_assert (ph_addr_equal (&a->addr, &b->addr));
  g_assert (strcmp (a->foundation, b->foundation) == 0);
}

static void
try_compact (PhSlice bytes)
{
  PhReader r = ph_reader (bytes);
  uint8_t out[PH_CANDIDATE_WIRE_MAX];
  PhWriter w = ph_writer (out, sizeof out);
  PhCandidate candidate, again;

  ph_candidate_read (&r, &candidate);
  if (!ph_reader_ok (&r))
    return;
  ph_candidate_write (&w, &candidate);
  g_assert (ph_writer_ok (&w));
  r = ph_reader (ph_slice (out, ph_writer_len (&w)));
  ph_candidate_read (&r, &again);
  g_assert (ph_reader_done (&r));
  g_assert (again.type == candidate.type);
  assert_same (&candidate, &again);
}

static void
try_sdp (const char *text)
{
  char out[PH_CANDIDATE_SDP_MAX];
  PhCandidate candidate, again;

  if (!ph_candidate_parse_sdp (text, &candidate))
    return;
  g_assert (ph_candidate_parse_sdp (ph_candidate_format_sdp (&candidate, out), &again));
  assert_same (&candidate, &again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);

  try_compact (ph_slice (data, size));
  try_sdp (text);
  return 0;
}
