/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What ph-link.h promises of streams, whichever link keeps it. Each is given a pair of links that is configured
 * and not yet started, asserts, and leaves the rest to the caller, ph_test_quic_clear() too. */

#pragma once

#include "tests/support/ph-test-quic.h"

/* To be given to ph_test_quic_run(): a stream has ended, or two have. */
bool ph_test_streams_any_fin (PhTestQuic *t);
bool ph_test_streams_two_fins (PhTestQuic *t);

/* 500 of them, more than may be open at once. */
void ph_test_streams_small (PhTestQuic *t);
/* Four at once get the same share. */
void ph_test_streams_fair (PhTestQuic *t);
/* What is on its way counts as queued until it has arrived; that is told at its mark. */
void ph_test_streams_queued (PhTestQuic *t);
/* What flow control holds back is unsent: told when that falls below its own mark, while all of it is queued.
 * The server's window for a stream is PH_TEST_STREAMS_WINDOW. */
void ph_test_streams_unsent (PhTestQuic *t);
#define PH_TEST_STREAMS_WINDOW 50000
