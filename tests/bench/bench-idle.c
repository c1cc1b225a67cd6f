/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many people who are online and do nothing: clients of one rendezvous server, each with a key of its own.
 *
 *   bench-idle CLIENTS ADDRESS...
 *
 * Client number N uses address N % the number of addresses (a server has limits for who comes from one). Prints a line
 * when all are online, and stays so until standard input ends; a client that is thrown out ends it with an error. */

#include "net/io/ph-clock.h"
#include "net/io/ph-rendezvous-driver.h"
#include "net/io/ph-system-random.h"

#include <glib-unix.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Handshakes under way: more than a server of two cores has done before the first times out. */
#define DIALLING_MAX 32u

typedef struct _Crowd Crowd;

typedef struct {
  Crowd *crowd;
  PhIdentity identity;
  PhRendezvousDriver *driver;
  bool was_online;
} Client;

struct _Crowd {
  GMainLoop *loop;
  Client *clients;
  unsigned n;
  unsigned started;
  unsigned online;
};

static void start_some (Crowd *self);

static gboolean
on_start_more (void *user)
{
  start_some (user);
  return G_SOURCE_REMOVE;
}

static void
on_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  Client *client = user;
  Crowd *crowd = client->crowd;

  /* One that has not been online tries again by itself. */
  if (event->type == PH_RENDEZVOUS_EVENT_OFFLINE && client->was_online) {
    g_printerr ("bench-idle: client %u of %u is offline: %s %s\n",
                (unsigned)(client - crowd->clients), crowd->n,
                ph_rendezvous_code_string (event->code), event->text);
    exit (1);
  }
  if (event->type != PH_RENDEZVOUS_EVENT_ONLINE)
    return;
  client->was_online = true;
  if (++crowd->online == crowd->n)
    g_print ("online\n");
  else
    g_idle_add (on_start_more, crowd);
}

static void
start_some (Crowd *self)
{
  while (self->started < self->n && self->started - self->online < DIALLING_MAX) {
    PhRendezvousDriver *driver = self->clients[self->started++].driver;

    ph_rendezvous_client_start (ph_rendezvous_driver_client (driver), ph_clock_now ());
    ph_rendezvous_driver_settle (driver);
  }
}

static gboolean
on_input (int fd, GIOCondition condition, void *user)
{
  g_main_loop_quit (user);
  return G_SOURCE_REMOVE;
}

static void
make_client (Crowd *crowd, unsigned number, const char *address)
{
  Client *client = &crowd->clients[number];
  const PhRandom random = ph_system_random ();
  PhRendezvousClientConfig config = {.identity = &client->identity, .name = "", .random = random};

  if (ph_rendezvous_address_parse (address, &config.address) != PH_RENDEZVOUS_ADDRESS_OK)
    g_error ("%s is no address", address);
  client->crowd = crowd;
  ph_identity_generate (&client->identity, &random);
  client->driver = ph_rendezvous_driver_new (&config, on_event, client);
}

int
main (int argc, char **argv)
{
  const struct rlimit limit = {65536, 65536};
  Crowd crowd = {0};

  if (argc < 3 || (crowd.n = (unsigned)strtoul (argv[1], NULL, 10)) == 0) {
    g_printerr ("usage: bench-idle CLIENTS ADDRESS...\n");
    return 2;
  }
  setrlimit (RLIMIT_NOFILE, &limit); /* else what fails says so */
  crowd.loop = g_main_loop_new (NULL, FALSE);
  crowd.clients = g_new0 (Client, crowd.n);
  for (unsigned i = 0; i < crowd.n; i++)
    make_client (&crowd, i, argv[2 + i % (unsigned)(argc - 2)]);
  g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, crowd.loop);
  start_some (&crowd);
  g_main_loop_run (crowd.loop);
  /* As people leave whose computers are switched off: without a word. */
  return 0;
}
