/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/unit/power-log.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define NO_NODE UINT32_MAX

/* A file or folder; its content is that at the start. */
typedef struct {
  bool folder;
  unsigned root;
  uint64_t inode;
  uint64_t new_inode;
  GByteArray *bytes;
  GHashTable *names; /* char * to node + 1 */
  struct timespec mtime;
} Node;

static gint active; /* atomic */
static GMutex lock;
static GPtrArray *ops; /* of PowerOp */
static GPtrArray *nodes; /* of Node; the first ones are the roots */
static GHashTable *by_inode; /* inode number to node + 1 */
static dev_t device;

/* --- The system's own ---------------------------------------------------------------------------- */

static long (*real) (long number, ...);

static void
find_real (void)
{
  if (real == NULL)
    real = (long (*) (long, ...))dlsym (RTLD_NEXT, "syscall");
}

/* --- Nodes --------------------------------------------------------------------------------------- */

static void
node_free (gpointer data)
{
  Node *node = data;

  g_byte_array_unref (node->bytes);
  g_hash_table_unref (node->names);
  g_free (node);
}

static unsigned
node_new (const struct stat *st, unsigned root)
{
  Node *node = g_new0 (Node, 1);

  node->folder = S_ISDIR (st->st_mode);
  node->root = root;
  node->inode = st->st_ino;
  node->mtime = st->st_mtim;
  node->bytes = g_byte_array_new ();
  node->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_ptr_array_add (nodes, node);
  /* A number that was free again is the newer file's. */
  g_hash_table_insert (by_inode, GSIZE_TO_POINTER (st->st_ino), GUINT_TO_POINTER (nodes->len));
  return nodes->len - 1;
}

static Node *
node_at (unsigned i)
{
  return nodes->pdata[i];
}

static unsigned
node_of (const struct stat *st)
{
  if (st->st_dev != device)
    return NO_NODE;
  return GPOINTER_TO_UINT (g_hash_table_lookup (by_inode, GSIZE_TO_POINTER (st->st_ino))) - 1;
}

static unsigned
node_of_fd (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 ? node_of (&st) : NO_NODE;
}

/* The folder that `path` is in, and the name that it has there. */
static unsigned
parent_of (int dirfd, const char *path, const char **ret_name)
{
  const char *slash = strrchr (path, '/');
  g_autofree char *dir = g_strndup (path, slash != NULL ? (gsize)(slash - path) : 0);
  struct stat st;

  *ret_name = slash != NULL ? slash + 1 : path;
  if (slash == NULL)
    return dirfd >= 0 ? node_of_fd (dirfd) : NO_NODE;
  return fstatat (dirfd, dir, &st, 0) == 0 ? node_of (&st) : NO_NODE;
}

static void
read_node (int dirfd, const char *name, unsigned node)
{
  const int fd = openat (dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  uint8_t buf[PAGE];

  g_assert_cmpint (fd, >=, 0);
  if (!node_at (node)->folder) {
    for (ssize_t n; (n = read (fd, buf, sizeof buf)) > 0;)
      g_byte_array_append (node_at (node)->bytes, buf, (guint)n);
    close (fd);
    return;
  }

  DIR *dir = fdopendir (fd);

  for (struct dirent *entry; (entry = readdir (dir)) != NULL;) {
    struct stat st;

    if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
      continue;
    g_assert_cmpint (fstatat (fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW), ==, 0);

    const unsigned child = node_new (&st, node_at (node)->root);

    g_hash_table_insert (node_at (node)->names, g_strdup (entry->d_name),
                         GUINT_TO_POINTER (child + 1));
    read_node (fd, entry->d_name, child);
  }
  closedir (dir);
}

/* --- Noting -------------------------------------------------------------------------------------- */

static void
op_free (gpointer data)
{
  PowerOp *op = data;

  g_free (op->name);
  g_free (op->old_name);
  g_free (op->bytes);
  g_free (op);
}

static PowerOp *
note (PowerKind kind, unsigned node)
{
  PowerOp *op = g_new0 (PowerOp, 1);

  op->kind = kind;
  op->node = node;
  g_ptr_array_add (ops, op);
  return op;
}

static void
note_name (PowerKind kind, unsigned dir, const char *name, unsigned node)
{
  PowerOp *op = note (kind, node);

  op->dir = dir;
  op->name = g_strdup (name);
}

static void
note_change (PowerKind kind, int fd, uint64_t offset, const void *bytes, size_t len)
{
  const unsigned node = node_of_fd (fd);
  struct stat st;
  PowerOp *op;

  if (node == NO_NODE || node_at (node)->folder)
    return;
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  op = note (kind, node);
  op->offset = offset;
  op->bytes = g_memdup2 (bytes, len);
  op->len = len;
  op->mtime = st.st_mtim;
}

static void
note_made (int dirfd, const char *path)
{
  const char *name;
  const unsigned dir = parent_of (dirfd, path, &name);
  struct stat st;

  if (dir == NO_NODE || fstatat (dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return;
  note_name (POWER_SET, dir, name, node_new (&st, node_at (dir)->root));
}

/* Begins a call that may change something: false if nobody wants to know. */
static bool
enter (void)
{
  find_real ();
  if (!g_atomic_int_get (&active))
    return false;
  g_mutex_lock (&lock);
  return true;
}

static long
leave (bool entered, long result)
{
  const int saved = errno;

  if (entered)
    g_mutex_unlock (&lock);
  errno = saved;
  return result;
}

/* --- What stands before the C library's ---------------------------------------------------------- */

static int
do_open (int dirfd, const char *path, int flags, mode_t mode, const struct open_how *how,
         size_t size)
{
  const bool entered = enter ();
  struct stat st;
  const bool makes =
      entered && (flags & O_CREAT) != 0 && fstatat (dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0;
  const int fd = (int)(how != NULL ? real (SYS_openat2, dirfd, path, how, size)
                                   : real (SYS_openat, dirfd, path, flags, mode));
  const int saved = errno;

  if (fd >= 0 && makes)
    note_made (dirfd, path);
  errno = saved;
  return (int)leave (entered, fd);
}

int
open (const char *path, int flags, ...)
{
  va_list args;
  mode_t mode = 0;

  va_start (args, flags);
  if (flags & (O_CREAT | __O_TMPFILE))
    mode = va_arg (args, mode_t);
  va_end (args);
  return do_open (AT_FDCWD, path, flags, mode, NULL, 0);
}

int
openat (int dirfd, const char *path, int flags, ...)
{
  va_list args;
  mode_t mode = 0;

  va_start (args, flags);
  if (flags & (O_CREAT | __O_TMPFILE))
    mode = va_arg (args, mode_t);
  va_end (args);
  return do_open (dirfd, path, flags, mode, NULL, 0);
}

/* Takes as many arguments as there can be, whether they were given or not. */
__attribute__ ((no_sanitize_address)) long
syscall (long number, ...)
{
  va_list args;
  long a[6];

  va_start (args, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg (args, long);
  va_end (args);
  find_real ();
  if (number == SYS_openat2) {
    const struct open_how *how = (const struct open_how *)a[2];

    return do_open ((int)a[0], (const char *)a[1], (int)how->flags, 0, how, (size_t)a[3]);
  }
  return real (number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

ssize_t
write (int fd, const void *bytes, size_t len)
{
  const bool entered = enter ();
  const off_t at = entered ? lseek (fd, 0, SEEK_CUR) : -1;
  const ssize_t n = real (SYS_write, fd, bytes, len);

  if (n > 0 && at >= 0)
    note_change (POWER_WRITE, fd, (uint64_t)at, bytes, (size_t)n);
  return leave (entered, n);
}

ssize_t
pwrite (int fd, const void *bytes, size_t len, off_t offset)
{
  const bool entered = enter ();
  const ssize_t n = real (SYS_pwrite64, fd, bytes, len, offset);

  if (n > 0 && entered)
    note_change (POWER_WRITE, fd, (uint64_t)offset, bytes, (size_t)n);
  return leave (entered, n);
}

ssize_t
pwritev (int fd, const struct iovec *pieces, int n_pieces, off_t offset)
{
  const bool entered = enter ();
  const ssize_t n = real (SYS_pwritev, fd, pieces, n_pieces, offset, 0L);

  if (n > 0 && entered) {
    g_autoptr (GByteArray) all = g_byte_array_new ();

    for (int i = 0; i < n_pieces; i++)
      g_byte_array_append (all, pieces[i].iov_base, (guint)pieces[i].iov_len);
    note_change (POWER_WRITE, fd, (uint64_t)offset, all->data, (size_t)n);
  }
  return leave (entered, n);
}

int
ftruncate (int fd, off_t size)
{
  const bool entered = enter ();
  const int result = (int)real (SYS_ftruncate, fd, size);

  if (result == 0 && entered)
    note_change (POWER_SIZE, fd, (uint64_t)size, NULL, 0);
  return (int)leave (entered, result);
}

/* Noted is all: no test needs to survive the power cut of this machine, and hundreds of syncs take their time. */
static int
do_sync (int fd, bool everything)
{
  const bool entered = enter ();
  const unsigned node = entered ? node_of_fd (fd) : NO_NODE;

  if (node != NO_NODE && everything)
    note (POWER_SYNC_ROOT, node_at (node)->root);
  else if (node != NO_NODE)
    note (POWER_SYNC, node);
  return (int)leave (entered, 0);
}

int
fsync (int fd)
{
  return do_sync (fd, false);
}

int
fdatasync (int fd)
{
  return do_sync (fd, false);
}

int
syncfs (int fd)
{
  return do_sync (fd, true);
}

int
mkdirat (int dirfd, const char *path, mode_t mode)
{
  const bool entered = enter ();
  const int result = (int)real (SYS_mkdirat, dirfd, path, mode);

  if (result == 0 && entered)
    note_made (dirfd, path);
  return (int)leave (entered, result);
}

int
unlinkat (int dirfd, const char *path, int flags)
{
  const bool entered = enter ();
  const char *name;
  const unsigned dir = entered ? parent_of (dirfd, path, &name) : NO_NODE;
  const int result = (int)real (SYS_unlinkat, dirfd, path, flags);

  if (result == 0 && dir != NO_NODE)
    note_name (POWER_CLEAR, dir, name, NO_NODE);
  return (int)leave (entered, result);
}

int
unlink (const char *path)
{
  return unlinkat (AT_FDCWD, path, 0);
}

int
linkat (int from_dir, const char *from, int to_dir, const char *to, int flags)
{
  const bool entered = enter ();
  const int result = (int)real (SYS_linkat, from_dir, from, to_dir, to, flags);
  struct stat st;
  const char *name;

  if (result == 0 && entered) {
    const unsigned dir = parent_of (to_dir, to, &name);

    if (dir != NO_NODE && fstatat (to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
      note_name (POWER_SET, dir, name, node_of (&st));
  }
  return (int)leave (entered, result);
}

int
renameat2 (int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
  const bool entered = enter ();
  const int result = (int)real (SYS_renameat2, from_dir, from, to_dir, to, flags);
  const char *name, *old_name;
  struct stat st;

  if (result == 0 && entered) {
    const unsigned dir = parent_of (to_dir, to, &name);
    const unsigned old_dir = parent_of (from_dir, from, &old_name);

    if (dir != NO_NODE && old_dir != NO_NODE
        && fstatat (to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
      note_name (POWER_MOVE, dir, name, node_of (&st));

      PowerOp *op = ops->pdata[ops->len - 1];

      op->old_dir = old_dir;
      op->old_name = g_strdup (old_name);
    }
  }
  return (int)leave (entered, result);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  return renameat2 (from_dir, from, to_dir, to, 0);
}

int
rename (const char *from, const char *to)
{
  return renameat2 (AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* --- A recording --------------------------------------------------------------------------------- */

void
power_log_start (const char *const roots[POWER_ROOTS])
{
  struct stat st;

  ops = g_ptr_array_new_with_free_func (op_free);
  nodes = g_ptr_array_new_with_free_func (node_free);
  by_inode = g_hash_table_new (NULL, NULL);
  for (unsigned i = 0; i < POWER_ROOTS; i++) {
    g_assert_cmpint (stat (roots[i], &st), ==, 0);
    g_assert_true (i == 0 || st.st_dev == device);
    device = st.st_dev;
    node_new (&st, i);
  }
  for (unsigned i = 0; i < POWER_ROOTS; i++)
    read_node (AT_FDCWD, roots[i], i);
  g_atomic_int_set (&active, true);
}

void
power_log_mark (unsigned mark, const PhResumePoint *point)
{
  PowerOp *op;

  g_mutex_lock (&lock);
  op = note (POWER_MARK, NO_NODE);
  op->mark = mark;
  if (point != NULL)
    op->point = *point;
  g_mutex_unlock (&lock);
}

void
power_log_stop (void)
{
  g_atomic_int_set (&active, false);
}

void
power_log_free (void)
{
  g_ptr_array_unref (ops);
  g_ptr_array_unref (nodes);
  g_hash_table_unref (by_inode);
}

size_t
power_log_len (void)
{
  return ops->len;
}

const PowerOp *
power_log_op (size_t i)
{
  return ops->pdata[i];
}

/* --- After the cut ------------------------------------------------------------------------------- */

typedef enum { FATE_LOST, FATE_KEPT, FATE_TORN } Fate;

/* What of the first `n` is there. */
static uint8_t *
choose_fates (size_t n, PowerLoss loss, const PhRandom *random)
{
  g_autofree bool *synced = g_new0 (bool, nodes->len + 1);
  bool root_synced[POWER_ROOTS] = {false};
  uint8_t *fates = g_malloc0 (n + 1);

  for (size_t i = n; i-- > 0;) {
    const PowerOp *op = power_log_op (i);
    unsigned node = op->node;
    bool sure;

    if (op->kind == POWER_MARK)
      continue;
    if (op->kind == POWER_SYNC) {
      synced[node] = true;
      continue;
    }
    if (op->kind == POWER_SYNC_ROOT) {
      root_synced[node] = true;
      continue;
    }
    if (op->kind != POWER_WRITE && op->kind != POWER_SIZE)
      node = op->dir;
    sure = synced[node] || root_synced[node_at (node)->root];
    if (sure || loss == POWER_LOSE_NONE)
      fates[i] = FATE_KEPT;
    else if (loss == POWER_LOSE_SOME)
      fates[i] = (uint8_t)ph_random_below (random, op->kind == POWER_WRITE ? 3 : 2);
  }
  return fates;
}

static void
set_size (GByteArray *to, uint64_t size)
{
  const guint had = to->len;

  g_byte_array_set_size (to, (guint)size);
  if (to->len > had)
    memset (to->data + had, 0, to->len - had);
}

static void
apply_write (GByteArray *to, const PowerOp *op, Fate fate, const PhRandom *random)
{
  if (op->offset + op->len > to->len)
    set_size (to, op->offset + op->len);
  for (size_t at = 0; at < op->len;) {
    const size_t step = MIN (op->len - at, PAGE - (op->offset + at) % PAGE);

    if (fate == FATE_KEPT || ph_random_below (random, 2) == 0)
      memcpy (to->data + op->offset + at, op->bytes + at, step);
    at += step;
  }
}

static void
apply (GPtrArray *now, const PowerOp *op, Fate fate, const PhRandom *random)
{
  Node *dir = now->pdata[op->dir];

  switch (op->kind) {
  case POWER_MOVE:
    g_hash_table_remove (((Node *)now->pdata[op->old_dir])->names, op->old_name);
    G_GNUC_FALLTHROUGH;
  case POWER_SET:
    g_hash_table_insert (dir->names, g_strdup (op->name), GUINT_TO_POINTER (op->node + 1));
    break;
  case POWER_CLEAR:
    g_hash_table_remove (dir->names, op->name);
    break;
  case POWER_WRITE:
    apply_write (((Node *)now->pdata[op->node])->bytes, op, fate, random);
    ((Node *)now->pdata[op->node])->mtime = op->mtime;
    break;
  case POWER_SIZE:
    set_size (((Node *)now->pdata[op->node])->bytes, op->offset);
    ((Node *)now->pdata[op->node])->mtime = op->mtime;
    break;
  case POWER_SYNC:
  case POWER_SYNC_ROOT:
  case POWER_MARK:
    break;
  }
}

static Node *
node_copy (const Node *from)
{
  Node *node = g_memdup2 (from, sizeof *from);
  GHashTableIter iter;
  gpointer name, child;

  node->bytes = g_byte_array_new ();
  g_byte_array_append (node->bytes, from->bytes->data, from->bytes->len);
  node->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_iter_init (&iter, from->names);
  while (g_hash_table_iter_next (&iter, &name, &child))
    g_hash_table_insert (node->names, g_strdup (name), child);
  return node;
}

static void
make_names (const GPtrArray *now, const Node *dir, const char *path)
{
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init (&iter, dir->names);
  while (g_hash_table_iter_next (&iter, &name, &value)) {
    const unsigned child = GPOINTER_TO_UINT (value) - 1;
    const Node *node = now->pdata[child];
    g_autofree char *at = g_build_filename (path, name, NULL);
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, node->mtime};
    struct stat st;

    if (g_str_has_suffix (name, "-shm"))
      continue;
    if (node->folder) {
      g_assert_cmpint (mkdir (at, 0700), ==, 0);
      make_names (now, node, at);
      continue;
    }

    const int fd = open (at, O_WRONLY | O_CREAT | O_EXCL, 0600);

    g_assert_cmpint (fd, >=, 0);
    g_assert_cmpint (write (fd, node->bytes->data, node->bytes->len), ==, node->bytes->len);
    g_assert_cmpint (futimens (fd, times), ==, 0);
    g_assert_cmpint (fstat (fd, &st), ==, 0);
    node_at (child)->new_inode = st.st_ino;
    close (fd);
  }
}

void
power_log_rebuild (size_t n, PowerLoss loss, const PhRandom *random,
                   const char *const roots[POWER_ROOTS])
{
  g_autoptr (GPtrArray) now = g_ptr_array_new_with_free_func (node_free);
  g_autofree uint8_t *fates = choose_fates (n, loss, random);

  g_assert_false (g_atomic_int_get (&active));
  for (guint i = 0; i < nodes->len; i++) {
    node_at (i)->new_inode = 0;
    g_ptr_array_add (now, node_copy (node_at (i)));
  }
  for (size_t i = 0; i < n; i++)
    if (fates[i] != FATE_LOST)
      apply (now, power_log_op (i), (Fate)fates[i], random);
  for (unsigned i = 0; i < POWER_ROOTS; i++)
    make_names (now, now->pdata[i], roots[i]);
}

uint64_t
power_log_inode (uint64_t was)
{
  uint64_t inode = 0;

  for (guint i = 0; i < nodes->len; i++)
    if (node_at (i)->inode == was && node_at (i)->new_inode != 0)
      inode = node_at (i)->new_inode;
  return inode;
}
