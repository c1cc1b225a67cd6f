/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the command line says, and where. Results go to standard output; what happens meanwhile, and
 * errors, to standard error. With --json there is nothing but one object a line on standard output. */

#pragma once

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The exit codes of the contract. */
typedef enum {
  PH_EXIT_DONE = 0,
  PH_EXIT_FAILED = 1,
  PH_EXIT_USAGE = 2,
  PH_EXIT_DECLINED = 3, /* declined or cancelled, here or there */
  PH_EXIT_TIMED_OUT = 4,
} PhExit;

void ph_output_init (bool json);
bool ph_output_is_json (void);

/* A line of the result; nothing with --json. */
void ph_output_line (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* A line about what happens; nothing with --json. */
void ph_output_note (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Whether there is a line to show progress in: standard error is a terminal and --json is not given. */
bool ph_output_has_progress (void);
/* Replaces the progress line; cut to the terminal's width. Other output appears above it, and it is
 * gone then until it is set again. NULL removes it. */
void ph_output_progress (const char *line);

/* A question that stands at the end of the terminal: other lines appear above it, and no progress is shown
 * meanwhile. NULL removes it. Borrowed until then. Shown with --json too. */
void ph_output_question (const char *question);

/* An object for --json: begins it with `event`, to be filled by json_builder_* and ended. NULL without
 * --json. */
JsonBuilder *ph_output_begin (const char *event);
void ph_output_string (JsonBuilder *object, const char *member, const char *value);
void ph_output_int (JsonBuilder *object, const char *member, int64_t value);
/* null for a negative number: what is not known. */
void ph_output_int_or_null (JsonBuilder *object, const char *member, int64_t value);
void ph_output_bool (JsonBuilder *object, const char *member, bool value);
void ph_output_strings (JsonBuilder *object, const char *member, const char *const *values);
/* Prints and frees it. */
void ph_output_end (JsonBuilder *object);
/* Prints any object as one line. */
void ph_output_node (JsonNode *node);

/* Says what went wrong and what to do: `code` for programs, the sentence for people (a `failed` object
 * with --json). Returns `status`. */
PhExit
ph_output_fail (PhExit status, const char *code, const char *format, ...) G_GNUC_PRINTF (3, 4);
