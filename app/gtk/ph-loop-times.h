/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long the main loop is busy at a time: what a person feels as a window that does not answer. For
 * tests: with PORTHOLE_LOOP_TIMES=FILE in the environment every SIGUSR1 writes what was measured since the
 * last one to FILE, as a JSON object, and begins anew:
 *
 *   turns                                how often the loop woke and dispatched; painting is left out
 *   turn_cpu_p99_ms, turn_cpu_max_ms     what one turn computed
 *   turn_p99_ms, turn_max_ms             how long one turn took, without the time in which other programs
 *                                        had the processor
 *   spent_ms, waited_ms                  how long all turns took, and how much of it others had the processor
 *   frames, frame_p99_ms, frame_max_ms   how long painting one frame took: style, layout, drawing */

#pragma once

/* Does nothing unless the environment asks for it. On the main thread, before the loop runs. */
void ph_loop_times_start (void);
