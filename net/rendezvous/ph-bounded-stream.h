/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A GIOStream around another that reads so many bytes and then fails, unless it is granted more.
 *
 * libsoup up to 3.6 puts the fragments of a WebSocket message together without a bound: a stranger
 * could have it hold any amount. Below libsoup the bytes can be counted: as many as a few
 * messages, and anew after each that was delivered. */

#pragma once

#include <gio/gio.h>

#define PH_TYPE_BOUNDED_STREAM (ph_bounded_stream_get_type ())
G_DECLARE_FINAL_TYPE (PhBoundedStream, ph_bounded_stream, PH, BOUNDED_STREAM, GIOStream)

/* `base` and its input stream must be pollable. */
PhBoundedStream *ph_bounded_stream_new (GIOStream *base, gsize budget);
/* The full budget again. Returns what was used of it. */
gsize ph_bounded_stream_grant (PhBoundedStream *self);
