/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever parses is written again and parses to the same. */

#include "net/signal/ph-envelope.h"
#include "net/signal/ph-signal-body.h"

#include <glib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  PhReader r = ph_reader (ph_slice (data, size));
  PhSignalMessage message;

  while (ph_signal_message_next (&r, &message) == PH_SIGNAL_OK) {
    static uint8_t out[PH_ENVELOPE_BODY_MAX];
    PhWriter w = ph_writer (out, sizeof out);
    PhSignalMessage again;

    ph_signal_message_write (&w, &message);
    g_assert_true (ph_writer_ok (&w));

    PhReader r2 = ph_reader (ph_slice (out, ph_writer_len (&w)));

    g_assert_true (ph_signal_message_next (&r2, &again) == PH_SIGNAL_OK);
    g_assert_true (ph_reader_done (&r2));
    g_assert_true (again.type == message.type);
    g_assert_true (again.generation == message.generation);
    if (message.type == PH_SIGNAL_PARAMS)
      g_assert_true (ph_slice_equal (again.pwd, message.pwd));
    if (message.type == PH_SIGNAL_NAT) {
      g_assert_true (again.nat_kind == message.nat_kind && again.nat_step == message.nat_step);
      g_assert_true (ph_addr_equal (&again.prediction, &message.prediction));
    }
    if (message.type == PH_SIGNAL_CANDIDATES)
      g_assert_true (again.n_candidates == message.n_candidates);
  }
  return 0;
}
