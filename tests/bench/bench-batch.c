/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of small files over TCP, on disk when it says so, and nothing else: no encryption, hash, database or
 * names that cannot be trusted. What the disk and the kernel leave to a mover of many files.
 *
 *   bench-batch take ADDR:PORT FOLDER [batch|none]   prints a line when it listens
 *   bench-batch send ADDR:PORT FOLDER
 *
 * `batch`: after every 1,000 files, and at the end, one syncfs; `none`: no sync. On the
 * wire: a name's and a file's length (uint32_t), name, bytes; an empty name ends it. Folders are one level deep. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH 1000
#define BUFFER (1 << 20)
#define NAME_MAX_LEN 1024

typedef struct {
  uint32_t name_len;
  uint32_t len;
} Head;

static G_NORETURN void
fail (const char *what)
{
  fprintf (stderr, "bench-batch: %s: %s\n", what, g_strerror (errno));
  exit (1);
}

static int
open_socket (const char *address, struct sockaddr_in *ret_address)
{
  g_auto (GStrv) parts = g_strsplit (address, ":", 2);
  const int one = 1;
  const int fd = socket (AF_INET, SOCK_STREAM, 0);

  if (fd < 0 || g_strv_length (parts) != 2)
    fail (address);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  *ret_address =
      (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons ((uint16_t)atoi (parts[1]))};
  if (inet_pton (AF_INET, parts[0], &ret_address->sin_addr) != 1)
    fail (address);
  return fd;
}

/* --- Sending ------------------------------------------------------------------------------------ */

static void
send_file (FILE *out, const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *bytes = NULL;
  gsize len;

  if (!g_file_get_contents (path, &bytes, &len, NULL))
    fail (path);

  const Head head = {(uint32_t)strlen (name), (uint32_t)len};

  if (fwrite (&head, sizeof head, 1, out) != 1
      || fwrite (name, 1, head.name_len, out) != head.name_len
      || fwrite (bytes, 1, len, out) != len)
    fail ("send");
}

static void
run_sender (const char *address, const char *folder)
{
  struct sockaddr_in remote;
  const int fd = open_socket (address, &remote);
  GDir *top = g_dir_open (folder, 0, NULL);
  const Head end = {0};
  const char *inner;
  char done;

  if (top == NULL || connect (fd, (struct sockaddr *)&remote, sizeof remote) < 0)
    fail (address);

  FILE *out = fdopen (fd, "w");

  setvbuf (out, NULL, _IOFBF, BUFFER);
  while ((inner = g_dir_read_name (top)) != NULL) {
    g_autofree char *path = g_build_filename (folder, inner, NULL);
    g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
      g_autofree char *relative = g_build_filename (inner, name, NULL);

      send_file (out, folder, relative);
    }
  }
  g_dir_close (top);
  if (fwrite (&end, sizeof end, 1, out) != 1 || fflush (out) != 0)
    fail ("send");
  if (read (fd, &done, 1) != 1)
    fail ("the other side has not got everything");
  fclose (out);
}

/* --- Taking ------------------------------------------------------------------------------------- */

static void
read_all (FILE *in, void *bytes, size_t len)
{
  if (fread (bytes, 1, len, in) != len)
    fail ("receive");
}

static void
write_file (int folder, const char *name, const char *bytes, size_t len)
{
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  int fd = openat (folder, name, flags, 0600);

  if (fd < 0 && errno == ENOENT) {
    g_autofree char *inner = g_path_get_dirname (name);

    if (mkdirat (folder, inner, 0700) < 0)
      fail (inner);
    fd = openat (folder, name, flags, 0600);
  }
  if (fd < 0 || write (fd, bytes, len) != (ssize_t)len)
    fail (name);
  close (fd);
}

static void
take_files (FILE *in, int folder, bool sync)
{
  char name[NAME_MAX_LEN + 1];
  g_autofree char *bytes = g_malloc (BUFFER);
  Head head;

  for (unsigned n = 1;; n++) {
    read_all (in, &head, sizeof head);
    if (head.name_len > NAME_MAX_LEN || head.len > BUFFER)
      fail ("too long");
    if (head.name_len == 0)
      break;
    read_all (in, name, head.name_len);
    name[head.name_len] = '\0';
    read_all (in, bytes, head.len);
    write_file (folder, name, bytes, head.len);
    if (n % BATCH == 0 && sync && syncfs (folder) < 0)
      fail ("sync");
  }
  if (sync && syncfs (folder) < 0)
    fail ("sync");
}

static void
run_taker (const char *address, const char *path, bool sync)
{
  struct sockaddr_in local;
  const int fd = open_socket (address, &local);

  if (mkdir (path, 0700) < 0)
    fail (path);

  const int folder = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (folder < 0 || bind (fd, (struct sockaddr *)&local, sizeof local) < 0 || listen (fd, 1) < 0)
    fail (address);
  puts ("listening");
  fflush (stdout);

  const int connection = accept (fd, NULL, NULL);

  if (connection < 0)
    fail ("accept");

  FILE *in = fdopen (connection, "r");

  setvbuf (in, NULL, _IOFBF, BUFFER);
  take_files (in, folder, sync);
  if (write (connection, "!", 1) != 1)
    fail ("acknowledge");
  fclose (in);
  close (folder);
  close (fd);
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "send") == 0)
    run_sender (argv[2], argv[3]);
  else if ((argc == 4 || argc == 5) && strcmp (argv[1], "take") == 0)
    run_taker (argv[2], argv[3], argc == 4 || strcmp (argv[4], "batch") == 0);
  else {
    fputs ("usage: bench-batch take ADDR:PORT FOLDER [batch|none] | send ADDR:PORT FOLDER\n",
           stderr);
    return 2;
  }
  return 0;
}
