/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From names that a peer chose to names that are written and shown here (threats.md 1 to 3).
 *
 * What is kept: every name that an ordinary Linux folder may hold, byte for byte. What is replaced:
 *   - '\' and the characters that look like a slash; control characters, line and paragraph separators,
 *     invisible and bidi controls (but not the joiners that scripts and emoji need): each by '_'
 *   - trailing dots and spaces (dropped: Windows and FAT would), a name of nothing but dots and such ('_')
 *   - a leading dot at the top level, by '_': what arrives is seen, and never becomes somebody's .bashrc
 *   - a component above 255 bytes: shortened before its extension
 *   - of names in one folder that are the same then, all but the first: `name (1).ext`. Where the
 *     file system folds case (`fold`), so are those that differ only in case or in normalization
 * '.', '..', empty parts, '/' and NUL within a part and invalid UTF-8 never get here: ph_manifest_decode()
 * refuses them. A leading '-' is kept: no name is ever handed to a command line.
 *
 * Nothing about the destination is known here: a name that exists there is dealt with by the sink. */

#pragma once

#include "app/engine/ph-manifest.h"

#define PH_SAFE_NAME_MAX 255u

/* One component. Newly allocated; valid UTF-8, 1 to 255 bytes, no '/', not "." or "..". */
char *ph_safe_name (const char *component, bool top_level);
/* `name (n).ext`, for a folder `name (n)`, within 255 bytes; `n` > 0. `name` is a safe one. */
char *ph_safe_name_numbered (const char *name, PhEntryKind kind, unsigned n);

/* Relative paths for all entries of a manifest: a function of the manifest and `fold` alone, so that a
 * resume finds the same. Immutable; may cross threads. */
typedef struct _PhSafeNames PhSafeNames;

PhSafeNames *ph_safe_names_new (PhManifest *manifest, bool fold);
void ph_safe_names_free (PhSafeNames *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhSafeNames, ph_safe_names_free)

/* Owned by `self` (or by the manifest, which it holds). NULL: the path got too long for this system. */
const char *ph_safe_names_path (const PhSafeNames *self, uint32_t index);

/* For showing any text from outside, on a terminal or in a label: control, bidi, invisible and invalid
 * bytes become visible escapes (\x1b, \u202e), and text with letters beyond Latin, Greek and Cyrillic is
 * isolated (FSI ... PDI) so that it cannot reorder what stands around it. Newly allocated, valid
 * UTF-8. No markup escaping. */
char *ph_display_name (const char *name);
