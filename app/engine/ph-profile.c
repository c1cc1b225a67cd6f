/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-profile.h"

#include "app/engine/ph-app-id.h"
#include "app/engine/ph-engine.h"
#include "net/io/ph-system-random.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <sodium.h>
#include <sys/file.h>
#include <unistd.h>

/* The key file is one line of text: this, the seed in hex, and a newline. */
#define KEY_PREFIX "porthole-ed25519-seed:"
#define KEY_TEXT_LEN (sizeof KEY_PREFIX - 1 + 2 * PH_IDENTITY_SEED_LEN + 1)

/* What a core dump holds from then on: the ELF headers of what was loaded, and the registers (core(5)). Of stacks
 * and heap nothing, and so no key, no invitation and no bytes of files: the TLS library, SQLite and the
 * buffers of the C library have copies of their own, which no care with ours would reach. A debugger that is
 * attached sees everything. */
#define DUMP_HEADERS_ONLY "0x10"

static void
keep_out_of_dumps (void)
{
  const int fd = g_open ("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC, 0);

  if (fd < 0 || write (fd, DUMP_HEADERS_ONLY, sizeof DUMP_HEADERS_ONLY - 1) < 0)
    g_debug ("core dumps hold this program's memory: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
}

/* The sentence says what cannot be done; errno says why. */
static bool
unusable (GError **error, const char *sentence, const char *path, int saved_errno)
{
  g_set_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE, "%s: %s: %s", sentence,
               path, g_strerror (saved_errno));
  return false;
}

static bool
make_folder (const char *dir, GError **error)
{
  if (g_mkdir_with_parents (dir, 0700) != 0)
    return unusable (error, _ ("The profile folder cannot be made"), dir, errno);
  return true;
}

static bool
take_lock (PhProfile *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->dir, "lock", NULL);

  self->lock_fd = g_open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (self->lock_fd < 0)
    return unusable (error, _ ("The profile folder cannot be used"), path, errno);
  if (flock (self->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return true;

  g_set_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_IN_USE,
               _ ("The profile %s is in use by another Porthole. Close that one, or choose another "
                  "profile with --profile"),
               self->dir);
  return false;
}

static bool
key_damaged (const char *path, GError **error)
{
  g_set_error (
      error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE,
      _ ("The device key %s is damaged. Restore it from a backup; without it your contacts "
         "do not know this device"),
      path);
  return false;
}

static bool
read_key (PhProfile *self, const char *path, const char *text, gsize len, GError **error)
{
  uint8_t seed[PH_IDENTITY_SEED_LEN];
  const char *hex = text + sizeof KEY_PREFIX - 1;

  if (len != KEY_TEXT_LEN || !g_str_has_prefix (text, KEY_PREFIX) || text[len - 1] != '\n')
    return key_damaged (path, error);
  for (size_t i = 0; i < sizeof seed; i++) {
    const int high = g_ascii_xdigit_value (hex[2 * i]);
    const int low = g_ascii_xdigit_value (hex[2 * i + 1]);

    if (high < 0 || low < 0)
      return key_damaged (path, error);
    seed[i] = (uint8_t)(high << 4 | low);
  }
  ph_identity_from_seed (&self->identity, seed);
  explicit_bzero (seed, sizeof seed);
  return true;
}

static bool
write_key (const char *path, const uint8_t seed[PH_IDENTITY_SEED_LEN], GError **error)
{
  char text[KEY_TEXT_LEN + 1] = KEY_PREFIX;
  char *hex = text + sizeof KEY_PREFIX - 1;
  g_autoptr (GError) why = NULL;
  bool ok;

  sodium_bin2hex (hex, 2 * PH_IDENTITY_SEED_LEN + 1, seed, PH_IDENTITY_SEED_LEN);
  text[KEY_TEXT_LEN - 1] = '\n';

  ok = g_file_set_contents_full (path, text, KEY_TEXT_LEN,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
                                 &why);
  explicit_bzero (text, sizeof text);
  if (!ok)
    g_set_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE,
                 _ ("The device key cannot be stored: %s"), why->message);
  return ok;
}

static bool
make_key (PhProfile *self, const char *path, GError **error)
{
  const PhRandom random = ph_system_random ();

  ph_identity_generate (&self->identity, &random);
  return write_key (path, self->identity.seed, error);
}

bool
ph_profile_replace_key (PhProfile *self, const uint8_t seed[PH_IDENTITY_SEED_LEN], GError **error)
{
  g_autofree char *path = g_build_filename (self->dir, "identity.key", NULL);

  return write_key (path, seed, error);
}

static bool
load_key (PhProfile *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->dir, "identity.key", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) why = NULL;
  GStatBuf st;
  gsize len;
  bool ok;

  if (g_lstat (path, &st) != 0 && errno == ENOENT)
    return make_key (self, path, error);
  if (!g_file_get_contents (path, &text, &len, &why)) {
    g_set_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE,
                 _ ("The device key cannot be read: %s"), why->message);
    return false;
  }
  if ((st.st_mode & 077) != 0) {
    g_set_error (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_PROFILE_UNUSABLE,
                 _ ("The device key %s can be read by others. If nobody has, make it private with "
                    "'chmod 600' and try again"),
                 path);
    ok = false;
  } else {
    ok = read_key (self, path, text, len, error);
  }
  explicit_bzero (text, len);
  return ok;
}

static bool
open_store (PhProfile *self, GError **error)
{
  g_autoptr (GError) why = NULL;

  self->store = ph_store_open (self->dir, &why);
  if (self->store != NULL)
    return true;
  g_set_error_literal (error, PH_ENGINE_ERROR,
                       g_error_matches (why, PH_STORE_ERROR, PH_STORE_ERROR_NEWER)
                           ? PH_ENGINE_ERROR_PROFILE_NEWER
                           : PH_ENGINE_ERROR_PROFILE_UNUSABLE,
                       why->message);
  return false;
}

PhProfile *
ph_profile_open (const char *dir, GError **error)
{
  g_autoptr (PhProfile) self = g_new0 (PhProfile, 1);
  char id[PH_DEVICE_ID_STRING_MAX];

  keep_out_of_dumps ();
  self->lock_fd = -1;
  self->dir = dir != NULL ? g_canonicalize_filename (dir, NULL) : ph_app_id_default_profile ();
  if (!make_folder (self->dir, error) || !take_lock (self, error) || !load_key (self, error)
      || !open_store (self, error))
    return NULL;
  self->device_id = g_strdup (ph_device_id_format (&self->identity.id, id));
  return g_steal_pointer (&self);
}

void
ph_profile_free (PhProfile *self)
{
  if (self == NULL)
    return;
  ph_store_close (self->store);
  ph_identity_wipe (&self->identity);
  if (self->lock_fd >= 0)
    close (self->lock_fd);
  g_free (self->device_id);
  g_free (self->dir);
  g_free (self);
}
