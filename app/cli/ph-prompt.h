/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Yes or no from the person at the terminal, while the main loop goes on. One question at a time. */

#pragma once

#include <stdbool.h>

typedef struct _PhPrompt PhPrompt;

/* `end`: standard input has ended, and nobody will ever answer. */
typedef void (*PhPromptFunc) (void *user, bool yes, bool end);

/* Whether somebody is there to be asked. */
bool ph_prompt_possible (void);
/* Asks; the callback comes once, unless the prompt is freed before. */
PhPrompt *ph_prompt_new (const char *question, PhPromptFunc answered, void *user);
void ph_prompt_free (PhPrompt *self);
