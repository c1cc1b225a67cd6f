/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-output.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool json_wanted;
static bool has_progress;
static bool progress_shown;
static const char *standing_question;

void
ph_output_init (bool json)
{
  json_wanted = json;
  has_progress = !json && isatty (STDERR_FILENO);
}

bool
ph_output_is_json (void)
{
  return json_wanted;
}

bool
ph_output_has_progress (void)
{
  return has_progress;
}

static void
clear_line (void)
{
  if (progress_shown || (standing_question != NULL && isatty (STDERR_FILENO)))
    fputs ("\r\033[K", stderr);
  progress_shown = false;
}

/* Converts to the terminal's character set, as g_print() does. */
static void
print_line (FILE *file, const char *text)
{
  clear_line ();
  if (file == stdout)
    g_print ("%s\n", text);
  else
    g_printerr ("%s\n", text);
  if (standing_question != NULL)
    g_printerr ("%s", standing_question);
}

void
ph_output_question (const char *question)
{
  if (question == NULL && standing_question == NULL)
    return;
  clear_line ();
  if (question == NULL && !isatty (STDERR_FILENO))
    g_printerr ("\n");
  standing_question = question;
  if (question != NULL)
    g_printerr ("%s", question);
}

void
ph_output_line (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (json_wanted)
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  print_line (stdout, text);
}

void
ph_output_note (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (json_wanted)
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  print_line (stderr, text);
}

static size_t
terminal_width (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return 80;
}

void
ph_output_progress (const char *line)
{
  g_autofree char *cut = NULL;
  size_t width = terminal_width ();
  size_t columns = 0;
  const char *p;

  if (!has_progress || standing_question != NULL)
    return;
  clear_line ();
  if (line == NULL)
    return;
  for (p = line; *p != '\0'; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    columns += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
    if (columns >= width) /* the last column would wrap the line on some terminals */
      break;
  }
  cut = g_strndup (line, (gsize)(p - line));
  g_printerr ("%s", cut);
  progress_shown = true;
}

JsonBuilder *
ph_output_begin (const char *event)
{
  JsonBuilder *object;

  if (!json_wanted)
    return NULL;
  object = json_builder_new ();
  json_builder_begin_object (object);
  ph_output_string (object, "event", event);
  return object;
}

void
ph_output_string (JsonBuilder *object, const char *member, const char *value)
{
  json_builder_set_member_name (object, member);
  if (value != NULL)
    json_builder_add_string_value (object, value);
  else
    json_builder_add_null_value (object);
}

void
ph_output_int (JsonBuilder *object, const char *member, int64_t value)
{
  json_builder_set_member_name (object, member);
  json_builder_add_int_value (object, value);
}

void
ph_output_int_or_null (JsonBuilder *object, const char *member, int64_t value)
{
  json_builder_set_member_name (object, member);
  if (value >= 0)
    json_builder_add_int_value (object, value);
  else
    json_builder_add_null_value (object);
}

void
ph_output_bool (JsonBuilder *object, const char *member, bool value)
{
  json_builder_set_member_name (object, member);
  json_builder_add_boolean_value (object, value);
}

void
ph_output_strings (JsonBuilder *object, const char *member, const char *const *values)
{
  json_builder_set_member_name (object, member);
  json_builder_begin_array (object);
  for (size_t i = 0; values != NULL && values[i] != NULL; i++)
    json_builder_add_string_value (object, values[i]);
  json_builder_end_array (object);
}

/* json-glib writes 0.046 as 0.045999999999999999: true, and nothing to look at. */
static char *
value_text (JsonNode *value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (!JSON_NODE_HOLDS_VALUE (value) || json_node_get_value_type (value) != G_TYPE_DOUBLE)
    return json_to_string (value, FALSE);
  return g_strdup (g_ascii_formatd (text, sizeof text, "%.15g", json_node_get_double (value)));
}

/* Always UTF-8, whatever the locale: programs read it. */
void
ph_output_node (JsonNode *node)
{
  g_autoptr (GString) text = g_string_new ("{");
  JsonObjectIter iter;
  const char *member;
  JsonNode *value;

  json_object_iter_init_ordered (&iter, json_node_get_object (node));
  while (json_object_iter_next_ordered (&iter, &member, &value)) {
    g_autoptr (JsonNode) name = json_node_init_string (json_node_alloc (), member);
    g_autofree char *name_text = json_to_string (name, FALSE);
    g_autofree char *shown = value_text (value);

    g_string_append_printf (text, "%s%s:%s", text->len > 1 ? "," : "", name_text, shown);
  }
  g_string_append_c (text, '}');
  puts (text->str);
  fflush (stdout);
}

void
ph_output_end (JsonBuilder *object)
{
  g_autoptr (JsonNode) root = NULL;

  if (object == NULL)
    return;
  json_builder_end_object (object);
  root = json_builder_get_root (object);
  ph_output_node (root);
  g_object_unref (object);
}

PhExit
ph_output_fail (PhExit status, const char *code, const char *format, ...)
{
  g_autofree char *text = NULL;
  JsonBuilder *object = ph_output_begin ("failed");
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (object == NULL) {
    ph_output_note ("porthole-cli: %s", text);
    return status;
  }
  ph_output_string (object, "code", code);
  ph_output_string (object, "message", text);
  ph_output_end (object);
  return status;
}
