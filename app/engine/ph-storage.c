/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-storage-private.h"

#include "app/engine/ph-safe-name.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* So much of a name leaves room in a message for what happened to it. */
#define SHOWN_NAME_MAX 60

int
ph_open_inside (int dirfd, const char *path, uint64_t flags, uint64_t mode)
{
  const struct open_how how = {
      .flags = flags | O_CLOEXEC, .mode = mode, .resolve = PH_RESOLVE_INSIDE};
  long fd;

  do
    fd = syscall (SYS_openat2, dirfd, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN /* raced with a rename: look again */));
  return (int)fd;
}

PhStorageError
ph_storage_read_error (int errnum)
{
  switch (errnum) {
  case ENOENT:
  case ENOTDIR:
    return PH_STORAGE_VANISHED;
  case EACCES:
  case EPERM:
  case ELOOP:
  case EXDEV:
  case ENXIO:
    return PH_STORAGE_UNREADABLE;
  default:
    return PH_STORAGE_IO;
  }
}

PhStorageError
ph_storage_write_error (int errnum)
{
  switch (errnum) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return PH_STORAGE_NO_SPACE;
  case EIO:
  case ENODEV:
  case ENXIO:
  case ENOMEDIUM:
  case EREMOTEIO:
  case ENOTCONN: /* what is left of a FUSE file system */
  case ESHUTDOWN:
  case ETIMEDOUT:
  case EHOSTDOWN:
    return PH_STORAGE_DISK;
  case EINVAL:
  case EILSEQ:
  case ENAMETOOLONG:
  case ELOOP:
  case EXDEV:
    return PH_STORAGE_REFUSED;
  /* No permission, read-only, gone, out of descriptors: nothing of it says anything about what has
   * arrived, which is kept until somebody has looked after it. */
  default:
    return PH_STORAGE_UNWRITABLE;
  }
}

static void
cut_utf8 (char *text, size_t max)
{
  if (strlen (text) <= max)
    return;
  while (max > 0 && ((uint8_t)text[max] & 0xc0) == 0x80)
    max--;
  text[max] = '\0';
}

void
ph_storage_say (char message[160], const char *format, const char *name, int errnum)
{
  g_autofree char *shown = ph_display_name (name);
  g_autofree char *what = NULL;
  g_autofree char *all = NULL;

  if (strlen (shown) > SHOWN_NAME_MAX) {
    /* Cut before it is made safe to show: an isolate must stay closed. */
    g_autofree char *head = g_strndup (name, SHOWN_NAME_MAX / 2);
    g_autofree char *shown_head = NULL;
    const char *end;

    g_utf8_validate (head, -1, &end);
    head[end - head] = '\0';
    shown_head = ph_display_name (head);
    g_free (shown);
    shown = g_strconcat (shown_head, "…", NULL);
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  what = g_strdup_printf (format, shown);
#pragma GCC diagnostic pop
  all = errnum != 0 ? g_strdup_printf ("%s: %s", what, g_strerror (errnum)) : g_strdup (what);
  cut_utf8 (all, 159);
  g_strlcpy (message, all, 160);
}
