/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person's page offers and shows: caps of what is taken without asking, and the safety number as it is
 * read out. */

#pragma once

#include <glib.h>
#include <stdint.h>

/* What "accept without asking" begins with, in bytes a day: photos and documents, not a disk's worth. */
#define PH_PERSON_CAP_DEFAULT UINT64_C (1000000000)

/* The choices as words; the last is "any amount". `current`, if it is none of them, comes
 * after that.
 * Free with g_strfreev(). */
char **ph_person_caps (uint64_t current);
/* Where `current` is among them. */
unsigned ph_person_cap_position (uint64_t current);
/* The bytes of a choice, 0: any amount. */
uint64_t ph_person_cap_at (unsigned position, uint64_t current);

/* "12345 67890 ..." in lines of three groups, to be read out one after the other. */
char *ph_person_number_in_lines (const char *number);
