/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/cli/ph-prompt.h"

#include "app/cli/ph-output.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <stdlib.h>
#include <unistd.h>

/* More than any "yes" in any language. */
#define ANSWER_MAX 64

struct _PhPrompt {
  PhPromptFunc answered;
  void *user;
  char *question;
  guint source;
  char answer[ANSWER_MAX + 1];
  size_t len;
};

bool
ph_prompt_possible (void)
{
  return isatty (STDIN_FILENO);
}

static bool
is_yes (char *answer)
{
  g_strstrip (answer);
  /* "y" everywhere, and the locale's own. */
  return g_ascii_strcasecmp (answer, "y") == 0 || g_ascii_strcasecmp (answer, "yes") == 0
         || rpmatch (answer) == 1;
}

static gboolean
input_ready (int fd, GIOCondition condition, gpointer user)
{
  PhPrompt *self = user;
  bool end = false;
  bool yes;
  char c;
  ssize_t n = read (fd, &c, 1); /* the rest of the line stays for the next question */

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return G_SOURCE_CONTINUE;
  if (n <= 0) {
    end = true;
  } else if (c != '\n') {
    if (self->len < ANSWER_MAX)
      self->answer[self->len++] = c;
    return G_SOURCE_CONTINUE;
  }
  self->source = 0;
  ph_output_question (NULL);
  self->answer[self->len] = '\0';
  yes = !end && is_yes (self->answer);
  self->answered (self->user, yes, end);
  return G_SOURCE_REMOVE;
}

PhPrompt *
ph_prompt_new (const char *question, PhPromptFunc answered, void *user)
{
  PhPrompt *self = g_new0 (PhPrompt, 1);

  self->answered = answered;
  self->user = user;
  self->question = g_strdup_printf ("%s %s ", question, _ ("[y/N]"));
  ph_output_question (self->question);
  self->source = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, input_ready, self);
  return self;
}

void
ph_prompt_free (PhPrompt *self)
{
  if (self == NULL)
    return;
  if (self->source != 0)
    ph_output_question (NULL);
  g_clear_handle_id (&self->source, g_source_remove);
  g_free (self->question);
  g_free (self);
}
