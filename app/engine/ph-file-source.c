/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config.h"

#include "app/engine/ph-file-source.h"

#include "app/engine/ph-sha256.h"
#include "app/engine/ph-storage-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Chunks waiting to be taken. Bounds the queue where files are tiny and bytes do not. */
#define AHEAD_CHUNKS_MAX 4096u
/* Less free room than this at the end of a buffer is not worth a read of its own, unless the whole rest
 * of the file fits. */
#define READ_MIN (64u << 10)
/* A taker that waits is woken for so much at once, or for less if those are the last bytes of a file or took so
 * long: on a fast disk every chunk by itself would wake it for the time that one takes to be read. */
#define WAKE_BYTES (PH_FILE_SOURCE_AHEAD / 2)
#define WAKE_US 2000

typedef struct {
  uint32_t file;
  bool end;
  uint64_t offset;
  PhBufSlice data;
  uint8_t sha256[SHA256_DIGEST_SIZE];
} Chunk;

typedef struct {
  PhSource base;
  PhManifest *manifest;
  char **roots;
  guint n_roots;
  GArray *tops; /* of uint32_t: the top-level entries, in order */
  PhBufPool *pool;
  void (*ready) (void *user);
  void *user;
  GThread *thread;

  GMutex lock;
  GCond changed;
  /* Guarded by `lock`. */
  bool quit;
  bool waiting; /* the taker was told to wait... */
  gint64 waiting_since; /* ...at this time, monotonic */
  unsigned generation; /* counts seeks */
  PhResumePoint point; /* where the latest seek goes */
  bool done; /* the reader has stopped: `error` or the end */
  PhStorageError error;
  uint32_t error_file;
  char message[160];
  GArray *queue; /* of Chunk, from `queue_head` on */
  unsigned queue_head;
  uint64_t queue_bytes;
  /* Of the hasher, which the reader has started and waits for. */
  bool hash_stop;
  bool hash_done;
  int hash_errno; /* 0: all of it was read, or the file got shorter, which the reader finds too */
  uint8_t hash[SHA256_DIGEST_SIZE];

  uint64_t compare_first;
  int hash_fd; /* borrowed by the hasher while it runs */
  uint64_t hash_size;

  /* The reader thread's own. */
  unsigned reading; /* the generation that it works on */
  PhBuf *buf; /* being filled; what is handed out of it is not touched again */
  size_t buf_used;
  uint32_t dir; /* the folder that `dir_fd` is, PH_MANIFEST_TOP: none */
  int dir_fd;
} FileSource;

/* --- Towards the taker --------------------------------------------------------------------------- */

/* Whether the reader is to stop what it is at. Called with the lock held. */
static bool
is_superseded (const FileSource *self)
{
  return self->quit || self->generation != self->reading;
}

static bool
check_superseded (FileSource *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return is_superseded (self);
}

/* Wakes the taker. Called without the lock. */
static void
tell (FileSource *self, bool wake)
{
  if (wake && self->ready != NULL)
    self->ready (self->user);
}

/* Whether no more is read ahead. Called with the lock held. */
static bool
is_full (const FileSource *self)
{
  return self->queue_bytes >= PH_FILE_SOURCE_AHEAD
         || self->queue->len - self->queue_head >= AHEAD_CHUNKS_MAX;
}

/* Whether the taker waits, and there is enough for it now. Called with the lock held. */
static bool
is_worth_waking (const FileSource *self, bool last)
{
  return self->waiting
         && (last || self->queue_bytes >= WAKE_BYTES || is_full (self)
             || g_get_monotonic_time () - self->waiting_since >= WAKE_US);
}

/* Takes the chunk's reference. False: there was a seek meanwhile, or the source is freed. */
static bool
push (FileSource *self, Chunk chunk)
{
  const uint64_t size = ph_manifest_entry (self->manifest, chunk.file)->size;
  bool wake;

  g_mutex_lock (&self->lock);
  while (!is_superseded (self) && is_full (self))
    g_cond_wait (&self->changed, &self->lock);
  if (is_superseded (self)) {
    g_mutex_unlock (&self->lock);
    ph_buf_slice_clear (&chunk.data);
    return false;
  }
  g_array_append_val (self->queue, chunk);
  self->queue_bytes += chunk.data.len;
  wake = is_worth_waking (self, chunk.offset + chunk.data.len == size);
  self->waiting = self->waiting && !wake;
  g_mutex_unlock (&self->lock);
  tell (self, wake);
  return true;
}

static bool
fail (FileSource *self, uint32_t file, PhStorageError error, const char *format, int errnum)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (is_superseded (self))
    return false;
  self->error = error;
  self->error_file = file;
  ph_storage_say (self->message, format, ph_manifest_entry (self->manifest, file)->path, errnum);
  return false;
}

/* --- Opening ------------------------------------------------------------------------------------- */

/* The chosen path that `file` is, or is in; NULL if there are fewer roots than top-level entries. */
static const char *
root_of (const FileSource *self, uint32_t file)
{
  uint32_t top = file;
  guint at;

  while (ph_manifest_parent (self->manifest, top) != PH_MANIFEST_TOP)
    top = ph_manifest_parent (self->manifest, top);
  for (guint low = 0, high = self->tops->len;;) {
    g_assert (low < high);
    at = low + (high - low) / 2;

    const uint32_t here = g_array_index (self->tops, uint32_t, at);

    if (here == top)
      break;
    if (here < top)
      low = at + 1;
    else
      high = at;
  }
  return at < self->n_roots ? self->roots[at] : NULL;
}

static void
close_dir (FileSource *self)
{
  if (self->dir != PH_MANIFEST_TOP)
    close (self->dir_fd);
  self->dir = PH_MANIFEST_TOP;
}

/* Makes dir_fd the folder `parent`. False and errno. */
static bool
enter_dir (FileSource *self, uint32_t parent)
{
  const char *path = ph_manifest_entry (self->manifest, parent)->path;
  const char *below = strchr (path, '/');
  const char *root = root_of (self, parent);
  int fd;

  close_dir (self);
  if (root == NULL) {
    errno = ENOENT;
    return false;
  }
  fd = open (root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && below != NULL) {
    const int inner = ph_open_inside (fd, below + 1, O_PATH | O_DIRECTORY, 0);
    const int saved = errno;

    close (fd);
    errno = saved;
    fd = inner;
  }
  if (fd < 0)
    return false;
  self->dir = parent;
  self->dir_fd = fd;
  return true;
}

/* -1 and errno. O_NONBLOCK: a fifo that took the file's place must not hold us up. */
static int
open_file (FileSource *self, uint32_t file)
{
  const uint32_t parent = ph_manifest_parent (self->manifest, file);

  if (parent == PH_MANIFEST_TOP) {
    const char *root = root_of (self, file);

    if (root == NULL) {
      errno = ENOENT;
      return -1;
    }
    return open (root, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  }
  if (parent != self->dir && !enter_dir (self, parent))
    return -1;
  return ph_open_inside (self->dir_fd, ph_manifest_name (self->manifest, file),
                         O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
}

static bool
is_as_offered (const PhEntry *entry, const struct stat *st)
{
  return (uint64_t)st->st_size == entry->size
         && (entry->mtime_s == 0 || (int64_t)st->st_mtim.tv_sec == entry->mtime_s);
}

static bool
is_unchanged (const struct stat *before, const struct stat *after)
{
  return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec
         && before->st_mtim.tv_nsec == after->st_mtim.tv_nsec;
}

/* --- Reading ------------------------------------------------------------------------------------- */

/* Room for a read of up to `want` bytes in the current buffer or a fresh one. */
static size_t
make_room (FileSource *self, uint64_t want)
{
  const size_t left = self->buf != NULL ? self->buf->cap - self->buf_used : 0;

  if (left < MIN (want, READ_MIN)) {
    g_clear_pointer (&self->buf, ph_buf_unref);
    self->buf = ph_buf_pool_take (self->pool);
    self->buf_used = 0;
    return MIN (want, self->buf->cap);
  }
  return MIN (want, left);
}

static ssize_t
read_some (int fd, void *out, size_t len, uint64_t offset)
{
  ssize_t n;

  do
    n = pread (fd, out, len, (off_t)offset);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Hashes the first point->offset bytes into `sha`. *ret_same says whether they are what the receiver
 * has; false: superseded or failed. */
static bool
verify_prefix (FileSource *self, int fd, uint32_t file, const PhResumePoint *point,
               struct sha256_ctx *sha, bool *ret_same)
{
  g_autoptr (PhBuf) buf = ph_buf_pool_take (self->pool);
  uint8_t digest[SHA256_DIGEST_SIZE];
  uint64_t at = 0;

  *ret_same = false;
  if (point->offset > ph_manifest_entry (self->manifest, file)->size)
    return true;
  while (at < point->offset) {
    const ssize_t n = read_some (fd, buf->data, (size_t)MIN (buf->cap, point->offset - at), at);

    if (check_superseded (self))
      return false;
    if (n < 0)
      return fail (self, file, ph_storage_read_error (errno), _ ("Cannot read “%s”"), errno);
    if (n == 0)
      return fail (self, file, PH_STORAGE_CHANGED, _ ("“%s” got shorter while it was sent"), 0);
    sha256_update (sha, (size_t)n, buf->data);
    at += (uint64_t)n;
  }
  ph_sha256_peek (sha, digest);
  *ret_same = memcmp (digest, point->prefix_sha256, sizeof digest) == 0;
  return true;
}

/* Reads the whole file beside the reader and hashes it. What it reads again of what was sent is mostly in
 * memory still. */
static gpointer
hasher (gpointer data)
{
  FileSource *self = data;
  g_autofree uint8_t *buf = g_malloc (PH_FILE_SOURCE_CHUNK);
  struct sha256_ctx sha;
  bool more = true;
  int error = 0;

  sha256_init (&sha);
  for (uint64_t at = 0; more && at < self->hash_size;) {
    const ssize_t n = read_some (self->hash_fd, buf,
                                 (size_t)MIN (PH_FILE_SOURCE_CHUNK, self->hash_size - at), at);

    if (n < 0)
      error = errno;
    if (n <= 0)
      break;
    sha256_update (&sha, (size_t)n, buf);
    at += (uint64_t)n;
    g_mutex_lock (&self->lock);
    more = !self->hash_stop;
    g_mutex_unlock (&self->lock);
  }
  g_mutex_lock (&self->lock);
  self->hash_errno = error;
  sha256_digest (&sha, sizeof self->hash, self->hash);
  self->hash_done = true;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return NULL;
}

static GThread *
start_hasher (FileSource *self, int fd, uint64_t size)
{
  self->hash_fd = fd;
  self->hash_size = size;
  self->hash_stop = false;
  self->hash_done = false;
  return g_thread_new ("ph-hasher", hasher, self);
}

static void
end_hasher (FileSource *self, GThread *thread)
{
  g_mutex_lock (&self->lock);
  self->hash_stop = true;
  g_mutex_unlock (&self->lock);
  g_thread_join (thread);
}

/* Until the hasher has the digest. False: superseded or failed. */
static bool
wait_for_hash (FileSource *self, uint32_t file, uint8_t sha256[SHA256_DIGEST_SIZE])
{
  int error;

  g_mutex_lock (&self->lock);
  while (!self->hash_done && !is_superseded (self))
    g_cond_wait (&self->changed, &self->lock);

  const bool done = self->hash_done;

  error = self->hash_errno;
  memcpy (sha256, self->hash, sizeof self->hash);
  g_mutex_unlock (&self->lock);
  if (done && error != 0)
    return fail (self, file, ph_storage_read_error (error), _ ("Cannot read “%s”"), error);
  return done;
}

/* From `offset` to the end; `sha` holds what is before, or is NULL if the hasher runs. */
static bool
send_rest (FileSource *self, int fd, uint32_t file, uint64_t offset, struct sha256_ctx *sha,
           const struct stat *opened)
{
  const uint64_t size = ph_manifest_entry (self->manifest, file)->size;
  struct stat st;

  for (;;) {
    Chunk chunk = {.file = file, .offset = offset};

    if (offset < size) {
      const size_t room = make_room (self, size - offset);
      const ssize_t n = read_some (fd, self->buf->data + self->buf_used, room, offset);

      if (n < 0)
        return fail (self, file, ph_storage_read_error (errno), _ ("Cannot read “%s”"), errno);
      if (n == 0)
        return fail (self, file, PH_STORAGE_CHANGED, _ ("“%s” got shorter while it was sent"), 0);
      if (sha != NULL)
        sha256_update (sha, (size_t)n, self->buf->data + self->buf_used);
      chunk.data = (PhBufSlice){ph_buf_ref (self->buf), self->buf_used, (size_t)n};
      self->buf_used += (size_t)n;
      offset += (uint64_t)n;
    }
    /* Bytes do not wait for the hasher; the end comes by itself then. */
    if (offset == size && (sha != NULL || chunk.data.len == 0)) {
      if (sha != NULL)
        sha256_digest (sha, sizeof chunk.sha256, chunk.sha256);
      else if (!wait_for_hash (self, file, chunk.sha256))
        return false;
      if (fstat (fd, &st) != 0 || !is_unchanged (opened, &st)) {
        ph_buf_slice_clear (&chunk.data);
        return fail (self, file, PH_STORAGE_CHANGED, _ ("“%s” changed while it was sent"), 0);
      }
      chunk.end = true;
    }
    if (!push (self, chunk))
      return false;
    if (chunk.end)
      return true;
  }
}

/* From `point` on, whose prefix is short enough to be compared first. */
static bool
compare_and_send (FileSource *self, int fd, uint32_t file, const PhResumePoint *point,
                  const struct stat *opened)
{
  struct sha256_ctx sha;
  bool same = false;

  sha256_init (&sha);
  if (point != NULL && point->offset > 0 && !verify_prefix (self, fd, file, point, &sha, &same))
    return false;
  if (!same)
    sha256_init (&sha);
  return send_rest (self, fd, file, same ? point->offset : 0, &sha, opened);
}

/* False: superseded or failed. `point`: where this file is to be taken up; NULL: at 0. */
static bool
send_open_file (FileSource *self, int fd, uint32_t file, const PhResumePoint *point)
{
  const PhEntry *entry = ph_manifest_entry (self->manifest, file);
  struct stat st;

  if (fstat (fd, &st) != 0)
    return fail (self, file, ph_storage_read_error (errno), _ ("Cannot read “%s”"), errno);
  if (!S_ISREG (st.st_mode))
    return fail (self, file, PH_STORAGE_UNREADABLE, _ ("“%s” is not a file any more"), 0);
  if (!is_as_offered (entry, &st))
    return fail (self, file, PH_STORAGE_CHANGED, _ ("“%s” changed since it was offered"), 0);
  if (entry->size > PH_FILE_SOURCE_CHUNK)
    posix_fadvise (fd, 0, 0, POSIX_FADV_SEQUENTIAL);

  if (point == NULL || point->offset <= self->compare_first || point->offset > entry->size)
    return compare_and_send (self, fd, file, point, &st);

  GThread *thread = start_hasher (self, fd, entry->size);
  const bool ok = send_rest (self, fd, file, point->offset, NULL, &st);

  end_hasher (self, thread);
  return ok;
}

static bool
send_all (FileSource *self, const PhResumePoint *point)
{
  for (uint32_t file = point->file; file < ph_manifest_len (self->manifest); file++) {
    if (ph_manifest_entry (self->manifest, file)->kind != PH_ENTRY_FILE)
      continue;

    const int fd = open_file (self, file);

    if (fd < 0)
      return fail (self, file, ph_storage_read_error (errno), _ ("Cannot open “%s”"), errno);

    const bool ok = send_open_file (self, fd, file, file == point->file ? point : NULL);

    close (fd);
    if (!ok)
      return false;
  }
  return true;
}

static gpointer
reader (gpointer data)
{
  FileSource *self = data;

  g_mutex_lock (&self->lock);
  for (;;) {
    while (!self->quit && self->reading == self->generation)
      g_cond_wait (&self->changed, &self->lock);
    if (self->quit)
      break;

    const PhResumePoint point = self->point;

    self->reading = self->generation;
    g_mutex_unlock (&self->lock);
    send_all (self, &point);
    close_dir (self);
    g_clear_pointer (&self->buf, ph_buf_unref);
    g_mutex_lock (&self->lock);
    if (!is_superseded (self)) {
      const bool waiting = self->waiting;

      self->done = true;
      self->waiting = false;
      g_mutex_unlock (&self->lock);
      tell (self, waiting);
      g_mutex_lock (&self->lock);
    }
  }
  g_mutex_unlock (&self->lock);
  return NULL;
}

/* --- The source's verbs -------------------------------------------------------------------------- */

static void
clear_queue (FileSource *self)
{
  for (guint i = self->queue_head; i < self->queue->len; i++)
    ph_buf_slice_clear (&g_array_index (self->queue, Chunk, i).data);
  g_array_set_size (self->queue, 0);
  self->queue_head = 0;
  self->queue_bytes = 0;
}

static void
file_source_seek (PhSource *base, const PhResumePoint *point)
{
  FileSource *self = (FileSource *)base;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  clear_queue (self);
  self->point = point != NULL ? *point : (PhResumePoint){0};
  self->generation++;
  self->done = false;
  self->error = PH_STORAGE_OK;
  g_cond_broadcast (&self->changed);
}

static PhSourceResult
file_source_take (PhSource *base, PhSourceChunk *ret_chunk)
{
  FileSource *self = (FileSource *)base;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (self->queue_head < self->queue->len) {
    const Chunk *chunk = &g_array_index (self->queue, Chunk, self->queue_head);
    const bool was_full = is_full (self);

    ret_chunk->file = chunk->file;
    ret_chunk->offset = chunk->offset;
    ret_chunk->data = chunk->data;
    ret_chunk->end = chunk->end;
    memcpy (ret_chunk->sha256, chunk->sha256, sizeof ret_chunk->sha256);
    ret_chunk->error = PH_STORAGE_OK;
    ret_chunk->message[0] = '\0';
    self->queue_bytes -= chunk->data.len;
    self->queue_head++;
    if (self->queue_head == self->queue->len) {
      g_array_set_size (self->queue, 0);
      self->queue_head = 0;
    } else if (self->queue_head >= AHEAD_CHUNKS_MAX) {
      g_array_remove_range (self->queue, 0, self->queue_head);
      self->queue_head = 0;
    }
    if (was_full)
      g_cond_signal (&self->changed);
    return PH_SOURCE_CHUNK;
  }
  if (!self->done) {
    self->waiting = true;
    self->waiting_since = g_get_monotonic_time ();
    return PH_SOURCE_WAIT;
  }
  if (self->error == PH_STORAGE_OK)
    return PH_SOURCE_END;
  *ret_chunk = (PhSourceChunk){.file = self->error_file, .error = self->error};
  memcpy (ret_chunk->message, self->message, sizeof ret_chunk->message);
  return PH_SOURCE_ERROR;
}

static void
file_source_free (PhSource *base)
{
  FileSource *self = (FileSource *)base;

  g_mutex_lock (&self->lock);
  self->quit = true;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);

  clear_queue (self);
  g_array_unref (self->queue);
  g_array_unref (self->tops);
  ph_buf_pool_unref (self->pool);
  ph_manifest_unref (self->manifest);
  g_strfreev (self->roots);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

static const PhSourceClass file_source_class = {
    .free = file_source_free,
    .seek = file_source_seek,
    .take = file_source_take,
};

PhSource *
ph_file_source_new (const PhFileSourceConfig *config)
{
  FileSource *self = g_new0 (FileSource, 1);

  self->base.klass = &file_source_class;
  self->manifest = ph_manifest_ref (config->manifest);
  self->roots = g_strdupv ((char **)config->roots);
  self->n_roots = g_strv_length (self->roots);
  self->tops = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  for (uint32_t i = 0; i < ph_manifest_len (self->manifest); i++)
    if (ph_manifest_parent (self->manifest, i) == PH_MANIFEST_TOP)
      g_array_append_val (self->tops, i);
  self->pool =
      config->pool != NULL
          ? ph_buf_pool_ref (config->pool)
          : ph_buf_pool_new (PH_FILE_SOURCE_CHUNK, 2 * PH_FILE_SOURCE_AHEAD / PH_FILE_SOURCE_CHUNK);
  self->compare_first =
      config->compare_first != 0 ? config->compare_first : PH_FILE_SOURCE_COMPARE_FIRST;
  self->ready = config->ready;
  self->user = config->user;
  self->queue = g_array_new (FALSE, FALSE, sizeof (Chunk));
  self->dir = PH_MANIFEST_TOP;
  self->generation = 1;
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->thread = g_thread_new ("ph-source", reader, self);
  return &self->base;
}
