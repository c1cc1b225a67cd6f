/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-manifest.h"

#include <nettle/sha2.h>
#include <sodium.h>

/* The encoded form: version, number of entries, entries. An entry is the number of its parent (0: top
 * level, else index + 1), the kind, the name, for a file the size, and the time (zigzag). */
#define MANIFEST_VERSION 1
#define MANIFEST_HEADER_LEN 5u
/* Parent, kind, a name of one byte with its length, time. Bounds the count before memory is taken. */
#define MANIFEST_ENTRY_LEN_MIN 5u

/* A set of entries by parent and name: open addressing over entry numbers + 1. The hash is keyed, so
 * that nobody can choose names that all fall into one slot. */
typedef struct {
  uint32_t *slots;
  uint32_t mask;
  uint8_t key[crypto_shorthash_KEYBYTES];
} NameSet;

struct _PhManifest {
  gatomicrefcount refs;
  PhEntry *entries;
  uint32_t *parents;
  uint32_t len;
  GStringChunk *paths;
  GBytes *encoded;
  uint64_t bytes;
  uint32_t files;
  uint8_t digest[SHA256_DIGEST_SIZE];
};

struct _PhManifestBuilder {
  GArray *entries; /* of PhEntry */
  GArray *parents; /* of uint32_t */
  GByteArray *depths;
  GStringChunk *paths;
  GByteArray *encoded;
  uint64_t paths_len;
  uint64_t bytes;
  uint32_t files;
  NameSet set;
  uint32_t last_parent; /* where the last entry was put: the next one mostly goes there too */
};

const char *
ph_path_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash != NULL ? slash + 1 : path;
}

/* --- The set of names ---------------------------------------------------------------------------- */

static void
name_set_init (NameSet *set, uint32_t capacity)
{
  uint32_t slots = 64;

  while (slots < 2 * capacity)
    slots *= 2;
  set->slots = g_new0 (uint32_t, slots);
  set->mask = slots - 1;
}

/* The slot of (parent, name): the one that holds it, or the free one where it goes. */
static uint32_t
name_set_find (const NameSet *set, const GArray *entries, const GArray *parents, uint32_t parent,
               PhSlice name)
{
  uint8_t text[4 + PH_MANIFEST_NAME_MAX];
  uint64_t hash;
  PhWriter w = ph_writer (text, sizeof text);

  ph_write_u32 (&w, parent);
  ph_write_slice (&w, name);
  g_assert (ph_writer_ok (&w));
  crypto_shorthash ((uint8_t *)&hash, text, ph_writer_len (&w), set->key);

  for (uint32_t at = (uint32_t)hash & set->mask;; at = (at + 1) & set->mask) {
    if (set->slots[at] == 0)
      return at;

    const uint32_t index = set->slots[at] - 1;

    if (g_array_index (parents, uint32_t, index) == parent) {
      const char *other = ph_path_name (g_array_index (entries, PhEntry, index).path);

      if (ph_slice_equal (ph_slice_string (other), name))
        return at;
    }
  }
}

static void
name_set_grow (PhManifestBuilder *self)
{
  NameSet *set = &self->set;
  g_autofree uint32_t *old = g_steal_pointer (&set->slots);
  const uint32_t old_mask = set->mask;

  name_set_init (set, old_mask + 1);
  for (uint32_t i = 0; i <= old_mask; i++) {
    if (old[i] == 0)
      continue;

    const PhEntry *entry = &g_array_index (self->entries, PhEntry, old[i] - 1);
    const uint32_t parent = g_array_index (self->parents, uint32_t, old[i] - 1);

    set->slots[name_set_find (set, self->entries, self->parents, parent,
                              ph_slice_string (ph_path_name (entry->path)))] = old[i];
  }
}

/* --- Building ------------------------------------------------------------------------------------ */

static PhManifestBuilder *
builder_new (const uint8_t *key, uint32_t capacity)
{
  PhManifestBuilder *self = g_new0 (PhManifestBuilder, 1);

  self->entries = g_array_new (FALSE, FALSE, sizeof (PhEntry));
  self->parents = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  self->depths = g_byte_array_new ();
  self->paths = g_string_chunk_new (16 << 10);
  self->encoded = g_byte_array_new ();
  self->last_parent = PH_MANIFEST_TOP;
  name_set_init (&self->set, capacity);
  memcpy (self->set.key, key, sizeof self->set.key);

  uint8_t header[MANIFEST_HEADER_LEN] = {MANIFEST_VERSION};

  g_byte_array_append (self->encoded, header, sizeof header);
  return self;
}

PhManifestBuilder *
ph_manifest_builder_new (void)
{
  uint32_t key[crypto_shorthash_KEYBYTES / 4];

  for (size_t i = 0; i < G_N_ELEMENTS (key); i++)
    key[i] = g_random_int ();
  return builder_new ((const uint8_t *)key, 0);
}

static bool
name_is_well_formed (PhSlice name)
{
  if (name.len == 0 || name.len > PH_MANIFEST_NAME_MAX)
    return false;
  if (name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.')))
    return false;
  return memchr (name.data, '/', name.len) == NULL
         && g_utf8_validate_len ((const char *)name.data, name.len, NULL);
}

/* Path of `name` in `parent`, in the builder's memory. */
static const char *
builder_path (PhManifestBuilder *self, uint32_t parent, PhSlice name)
{
  char path[PH_MANIFEST_PATH_MAX + 1];
  PhWriter w = ph_writer (path, sizeof path);

  if (parent != PH_MANIFEST_TOP) {
    ph_write_slice (&w, ph_slice_string (g_array_index (self->entries, PhEntry, parent).path));
    ph_write_u8 (&w, '/');
  }
  ph_write_slice (&w, name);
  ph_write_u8 (&w, 0);
  if (!ph_writer_ok (&w) || self->paths_len + ph_writer_len (&w) > PH_MANIFEST_PATHS_MAX)
    return NULL;
  self->paths_len += ph_writer_len (&w);
  return g_string_chunk_insert_len (self->paths, path, (gssize)ph_writer_len (&w) - 1);
}

static void
builder_encode (PhManifestBuilder *self, uint32_t parent, PhSlice name, const PhEntry *entry)
{
  uint8_t out[PH_MANIFEST_NAME_MAX + 32];
  PhWriter w = ph_writer (out, sizeof out);
  const uint64_t zigzag = (uint64_t)entry->mtime_s << 1 ^ (uint64_t)(entry->mtime_s >> 63);

  ph_write_varint (&w, parent == PH_MANIFEST_TOP ? 0 : (uint64_t)parent + 1);
  ph_write_u8 (&w, entry->kind);
  ph_write_counted (&w, name);
  if (entry->kind == PH_ENTRY_FILE)
    ph_write_varint (&w, entry->size);
  ph_write_varint (&w, zigzag);
  g_assert (ph_writer_ok (&w));
  g_byte_array_append (self->encoded, out, (guint)ph_writer_len (&w));
}

/* The one way in, for what is built here and for what is decoded. `encode` false: the caller has the
 * bytes already. */
static bool
builder_push (PhManifestBuilder *self, uint32_t parent, PhSlice name, PhEntry entry, bool encode)
{
  const uint32_t index = self->entries->len;
  uint8_t depth = 1;

  if (index >= PH_MANIFEST_ENTRIES_MAX || !name_is_well_formed (name))
    return false;
  if (entry.kind == PH_ENTRY_FOLDER ? entry.size != 0 : entry.size > PH_MANIFEST_FILE_MAX)
    return false;
  if (self->bytes + entry.size > PH_MANIFEST_TOTAL_MAX)
    return false;
  if (self->encoded->len + name.len + 32 > PH_MANIFEST_BYTES_MAX)
    return false;
  if (parent != PH_MANIFEST_TOP) {
    if (parent >= index || g_array_index (self->entries, PhEntry, parent).kind != PH_ENTRY_FOLDER
        || self->depths->data[parent] >= PH_MANIFEST_DEPTH_MAX)
      return false;
    depth = self->depths->data[parent] + 1;
  }

  if (2 * index > self->set.mask)
    name_set_grow (self);

  const uint32_t slot = name_set_find (&self->set, self->entries, self->parents, parent, name);

  if (self->set.slots[slot] != 0)
    return false;
  entry.path = builder_path (self, parent, name);
  if (entry.path == NULL)
    return false;

  self->set.slots[slot] = index + 1;
  g_array_append_val (self->entries, entry);
  g_array_append_val (self->parents, parent);
  g_byte_array_append (self->depths, &depth, 1);
  self->bytes += entry.size;
  self->files += entry.kind == PH_ENTRY_FILE;
  if (encode)
    builder_encode (self, parent, name, &entry);
  return true;
}

/* The folder with this path, part by part; false if there is none. */
static bool
builder_find_folder (PhManifestBuilder *self, PhSlice path, uint32_t *ret_index)
{
  uint32_t at = PH_MANIFEST_TOP;

  if (self->last_parent != PH_MANIFEST_TOP
      && ph_slice_equal (
          path, ph_slice_string (g_array_index (self->entries, PhEntry, self->last_parent).path))) {
    *ret_index = self->last_parent;
    return true;
  }
  while (path.len > 0) {
    const uint8_t *slash = memchr (path.data, '/', path.len);
    const PhSlice part =
        ph_slice (path.data, slash != NULL ? (size_t)(slash - path.data) : path.len);

    if (!name_is_well_formed (part) || path.len == part.len + 1 /* ends with a slash */)
      return false;

    const uint32_t slot = name_set_find (&self->set, self->entries, self->parents, at, part);

    if (self->set.slots[slot] == 0)
      return false;
    at = self->set.slots[slot] - 1;
    path.data += part.len + (slash != NULL);
    path.len -= part.len + (slash != NULL);
  }
  *ret_index = at;
  return true;
}

bool
ph_manifest_builder_add (PhManifestBuilder *self, PhEntryKind kind, const char *path, uint64_t size,
                         int64_t mtime_s)
{
  const char *name = ph_path_name (path);
  uint32_t parent = PH_MANIFEST_TOP;

  if (name == path + 1 /* "/name" */
      || (name != path
          && !builder_find_folder (self, ph_slice (path, (size_t)(name - path) - 1), &parent)))
    return false;

  if (mtime_s > PH_MANIFEST_MTIME_MAX || mtime_s < -PH_MANIFEST_MTIME_MAX)
    mtime_s = 0;

  const PhEntry entry = {.kind = kind, .size = size, .mtime_s = mtime_s};

  if (!builder_push (self, parent, ph_slice_string (name), entry, true))
    return false;
  self->last_parent = parent;
  return true;
}

void
ph_manifest_builder_free (PhManifestBuilder *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->entries, g_array_unref);
  g_clear_pointer (&self->parents, g_array_unref);
  g_clear_pointer (&self->depths, g_byte_array_unref);
  g_clear_pointer (&self->paths, g_string_chunk_free);
  g_clear_pointer (&self->encoded, g_byte_array_unref);
  g_free (self->set.slots);
  g_free (self);
}

static PhManifest *
manifest_from_builder (PhManifestBuilder *self, GBytes *encoded)
{
  PhManifest *manifest = g_new0 (PhManifest, 1);
  struct sha256_ctx sha;

  g_atomic_ref_count_init (&manifest->refs);
  manifest->len = self->entries->len;
  manifest->bytes = self->bytes;
  manifest->files = self->files;
  manifest->entries = (PhEntry *)(void *)g_array_free (g_steal_pointer (&self->entries), FALSE);
  manifest->parents = (uint32_t *)(void *)g_array_free (g_steal_pointer (&self->parents), FALSE);
  manifest->paths = g_steal_pointer (&self->paths);
  manifest->encoded = encoded;
  sha256_init (&sha);
  sha256_update (&sha, g_bytes_get_size (encoded), g_bytes_get_data (encoded, NULL));
  sha256_digest (&sha, sizeof manifest->digest, manifest->digest);
  ph_manifest_builder_free (self);
  return manifest;
}

PhManifest *
ph_manifest_builder_end (PhManifestBuilder *self)
{
  PhWriter w = ph_writer (self->encoded->data, MANIFEST_HEADER_LEN);

  ph_write_u8 (&w, MANIFEST_VERSION);
  ph_write_u32 (&w, self->entries->len);
  return manifest_from_builder (self,
                                g_byte_array_free_to_bytes (g_steal_pointer (&self->encoded)));
}

/* --- Reading ------------------------------------------------------------------------------------- */

/* A varint in its shortest form: one manifest has one encoding. */
static uint64_t
read_canonical (PhReader *r)
{
  const size_t left = ph_reader_left (r);
  const uint64_t value = ph_read_varint (r);

  if (left - ph_reader_left (r) != ph_varint_len (value))
    ph_reader_poison (r);
  return value;
}

static bool
decode_entry (PhManifestBuilder *builder, PhReader *r)
{
  PhEntry entry = {0};
  const uint64_t parent = read_canonical (r);
  const uint8_t kind = ph_read_u8 (r);
  const uint64_t name_len = read_canonical (r);
  const PhSlice name = ph_read_slice (r, name_len > PH_MANIFEST_NAME_MAX ? SIZE_MAX : name_len);

  if (kind > PH_ENTRY_FOLDER)
    return false;
  entry.kind = kind;
  if (kind == PH_ENTRY_FILE)
    entry.size = read_canonical (r);

  const uint64_t zigzag = read_canonical (r);

  entry.mtime_s = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
  if (!ph_reader_ok (r) || parent > PH_MANIFEST_ENTRIES_MAX || entry.mtime_s > PH_MANIFEST_MTIME_MAX
      || entry.mtime_s < -PH_MANIFEST_MTIME_MAX)
    return false;
  return builder_push (builder, parent == 0 ? PH_MANIFEST_TOP : (uint32_t)parent - 1, name, entry,
                       false);
}

PhManifest *
ph_manifest_decode (PhSlice bytes)
{
  PhReader r = ph_reader (bytes);
  uint8_t key[SHA256_DIGEST_SIZE];
  struct sha256_ctx sha;

  if (bytes.len > PH_MANIFEST_BYTES_MAX || ph_read_u8 (&r) != MANIFEST_VERSION)
    return NULL;

  const uint32_t count = ph_read_u32 (&r);

  if (!ph_reader_ok (&r) || count > PH_MANIFEST_ENTRIES_MAX
      || count > ph_reader_left (&r) / MANIFEST_ENTRY_LEN_MIN)
    return NULL;

  /* Keyed by the digest of all of it: whoever changes a name to hit a slot moves all slots. */
  sha256_init (&sha);
  sha256_update (&sha, bytes.len, bytes.data);
  sha256_digest (&sha, sizeof key, key);

  g_autoptr (PhManifestBuilder) builder = builder_new (key, count);

  for (uint32_t i = 0; i < count; i++)
    if (!decode_entry (builder, &r))
      return NULL;
  if (!ph_reader_done (&r))
    return NULL;
  return manifest_from_builder (g_steal_pointer (&builder), g_bytes_new (bytes.data, bytes.len));
}

/* --- Use ----------------------------------------------------------------------------------------- */

PhManifest *
ph_manifest_ref (PhManifest *self)
{
  g_atomic_ref_count_inc (&self->refs);
  return self;
}

void
ph_manifest_unref (PhManifest *self)
{
  if (self == NULL || !g_atomic_ref_count_dec (&self->refs))
    return;
  g_free (self->entries);
  g_free (self->parents);
  g_string_chunk_free (self->paths);
  g_bytes_unref (self->encoded);
  g_free (self);
}

uint32_t
ph_manifest_len (const PhManifest *self)
{
  return self->len;
}

const PhEntry *
ph_manifest_entry (const PhManifest *self, uint32_t index)
{
  g_assert (index < self->len);
  return &self->entries[index];
}

uint32_t
ph_manifest_parent (const PhManifest *self, uint32_t index)
{
  g_assert (index < self->len);
  return self->parents[index];
}

const char *
ph_manifest_name (const PhManifest *self, uint32_t index)
{
  return ph_path_name (ph_manifest_entry (self, index)->path);
}

uint64_t
ph_manifest_bytes (const PhManifest *self)
{
  return self->bytes;
}

uint32_t
ph_manifest_files (const PhManifest *self)
{
  return self->files;
}

const uint8_t *
ph_manifest_digest (const PhManifest *self)
{
  return self->digest;
}

GBytes *
ph_manifest_encode (const PhManifest *self)
{
  return g_bytes_ref (self->encoded);
}
