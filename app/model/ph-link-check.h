/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether a text is an invitation that can be used, said while it is typed or pasted. Asks nobody:
 * whether it was used already, or has expired, is found out by using it. */

#pragma once

#include <glib.h>

typedef enum {
  PH_LINK_EMPTY, /* nothing yet */
  PH_LINK_GOOD, /* `ret_message` says whose it is, if it tells */
  PH_LINK_BAD, /* `ret_message` says why not, and what to do */
} PhLinkState;

/* `own_id`: this device's printed ID. `ret_message` is newly allocated, plain, "" if there is nothing
 * to say. */
PhLinkState ph_link_check (const char *text, const char *own_id, char **ret_message);
