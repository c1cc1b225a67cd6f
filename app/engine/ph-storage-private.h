/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the file source and the file sink share. */

#pragma once

#include "app/engine/ph-storage.h"

#include <linux/openat2.h>

/* Below one folder, through no link of any kind. */
#define PH_RESOLVE_INSIDE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* openat2(2); -1 and errno. `mode` matters with O_CREAT. */
int ph_open_inside (int dirfd, const char *path, uint64_t flags, uint64_t mode);

/* What an errno means for reading a source, and for writing a sink. */
PhStorageError ph_storage_read_error (int errnum);
PhStorageError ph_storage_write_error (int errnum);

/* Fills a message of PhSinkEvent or PhSourceChunk: `format` has one %s for `name`, which is made fit to
 * show and shortened. With `errnum` what the system says is added. */
void ph_storage_say (char message[160], const char *format, const char *name, int errnum);
