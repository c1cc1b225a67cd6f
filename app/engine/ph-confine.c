/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-confine.h"

#include <errno.h>
#include <glib.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From here on files can be moved from one folder to another (REFER). Before, no rule allows that, and nothing could
 * get to its place. */
#define ABI_MIN 2
/* From here on files can be kept from being cut. */
#define ABI_TRUNCATE 3

#define MAY                                                                                        \
  (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE  \
   | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
#define MAY_NOWHERE                                                                                \
  (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK        \
   | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* False: errno. */
static bool
add_folders (int ruleset, uint64_t may, const int *folders, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const struct landlock_path_beneath_attr beneath = {.allowed_access = may,
                                                       .parent_fd = folders[i]};

    if (syscall (SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
      return false;
  }
  return true;
}

static bool
confine (const int *folders, size_t n)
{
  const long abi = syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  const uint64_t may = abi >= ABI_TRUNCATE ? MAY | LANDLOCK_ACCESS_FS_TRUNCATE : MAY;
  const struct landlock_ruleset_attr attr = {.handled_access_fs = may | MAY_NOWHERE};
  bool ok;
  int ruleset;

  if (abi >= 0 && abi < ABI_MIN)
    errno = EOPNOTSUPP;
  if (abi < ABI_MIN)
    return false;
  /* The kernel takes the shorter form of earlier versions, which has this field alone. */
  ruleset = (int)syscall (SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
  if (ruleset < 0)
    return false;
  ok = add_folders (ruleset, may, folders, n) && prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
       && syscall (SYS_landlock_restrict_self, ruleset, 0) == 0;

  const int saved = errno;

  close (ruleset);
  errno = saved;
  return ok;
}

bool
ph_confine_thread (const int *folders, size_t n)
{
  static gint said;

  if (confine (folders, n))
    return true;

  const int error = errno;

  if (g_atomic_int_compare_and_exchange (&said, 0, 1))
    g_debug ("threads that write are not confined by the kernel: %s", g_strerror (error));
  return false;
}
