/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kinds of files that a double click may run: native programs, those of other systems (which Wine or a Java runtime start),
 * and what stands for them (desktop entries, shortcuts). Scripts are texts, which desktops show and do not run.
 *
 * What somebody else has sent is never run at a press of "Open": threats.md 2. */

#pragma once

#include <stdbool.h>

/* `content_type` as g_file_info_get_content_type() has it; NULL: not known. */
bool ph_type_is_program (const char *content_type);
