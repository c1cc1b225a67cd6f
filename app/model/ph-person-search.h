/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding people by what somebody types: in the window, and in the desktop's own search.
 *
 * A name matches if every word that was typed is somewhere in it. Case does not count, nor do accents: "jose"
 * finds José, and "JOSÉ" finds Jose. */

#pragma once

#include "app/model/ph-contact-item.h"

/* More than any desktop shows. */
#define PH_PERSON_SEARCH_MAX 50u

/* `text` NULL or without a word: every name matches. */
bool ph_person_search_matches (const char *name, const char *text);
/* The IDs of the people among `contacts` (PhContactItem) who match all of `words` and can be sent to, in the order
 * of their names, PH_PERSON_SEARCH_MAX at most. Nobody matches where no word was typed. To be freed. */
char **ph_person_search (GListModel *contacts, const char *const *words);
