/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long a signal from one person to another takes through a rendezvous server.
 *
 *   bench-signal COUNT ADDRESS
 *
 * Two clients in one program, so that one clock sees both ends. A signal leaves every 50 ms, which is within what the
 * server lets a key say. Prints the median and the longest time, in milliseconds. */

#include "net/io/ph-clock.h"
#include "net/io/ph-rendezvous-driver.h"
#include "net/io/ph-system-random.h"

#include <stdlib.h>

#define INTERVAL_MS 50

typedef struct {
  PhIdentity identities[2];
  PhRendezvousDriver *drivers[2]; /* who says something, and who hears it */
  GMainLoop *loop;
  GArray *times; /* of PhTime, how long each took */
  unsigned count;
  PhTime said_at;
} Talk;

static gboolean
on_say (void *user)
{
  Talk *talk = user;

  talk->said_at = ph_clock_now ();
  ph_rendezvous_client_send (ph_rendezvous_driver_client (talk->drivers[0]), talk->said_at,
                             &talk->identities[1].id, ph_slice_string ("Are you there?"));
  ph_rendezvous_driver_settle (talk->drivers[0]);
  return G_SOURCE_REMOVE;
}

static void
fail_if_over (const PhRendezvousEvent *event)
{
  if (event->type != PH_RENDEZVOUS_EVENT_OFFLINE
      && event->type != PH_RENDEZVOUS_EVENT_SIGNAL_FAILED)
    return;
  g_printerr ("bench-signal: %s %s\n", ph_rendezvous_code_string (event->code), event->text);
  exit (1);
}

static void
on_sender_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  fail_if_over (event);
  if (event->type == PH_RENDEZVOUS_EVENT_PRESENCE && event->online)
    g_timeout_add (INTERVAL_MS, on_say, user);
}

static void
on_receiver_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  Talk *talk = user;
  const PhTime took = ph_clock_now () - talk->said_at;

  fail_if_over (event);
  if (event->type != PH_RENDEZVOUS_EVENT_SIGNAL)
    return;
  g_array_append_val (talk->times, took);
  if (talk->times->len == talk->count)
    g_main_loop_quit (talk->loop);
  else
    g_timeout_add (INTERVAL_MS, on_say, talk);
}

static void
start (Talk *talk, unsigned which, const PhRendezvousAddress *address)
{
  const PhRendezvousClientConfig config = {
      .identity = &talk->identities[which],
      .address = *address,
      .name = "",
      .random = ph_system_random (),
  };
  const PhRendezvousEventFunc funcs[] = {on_sender_event, on_receiver_event};
  PhRendezvousClient *client;

  talk->drivers[which] = ph_rendezvous_driver_new (&config, funcs[which], talk);
  client = ph_rendezvous_driver_client (talk->drivers[which]);
  ph_rendezvous_client_watch (client, ph_clock_now (), &talk->identities[1 - which].id);
  ph_rendezvous_client_start (client, ph_clock_now ());
  ph_rendezvous_driver_settle (talk->drivers[which]);
}

static int
compare_times (const void *a, const void *b)
{
  const PhTime *x = a;
  const PhTime *y = b;

  return (*x > *y) - (*x < *y);
}

static double
to_ms (PhTime interval)
{
  return (double)interval / PH_MSEC;
}

int
main (int argc, char **argv)
{
  const PhRandom random = ph_system_random ();
  PhRendezvousAddress address;
  Talk talk = {0};

  if (argc != 3 || (talk.count = (unsigned)strtoul (argv[1], NULL, 10)) == 0
      || ph_rendezvous_address_parse (argv[2], &address) != PH_RENDEZVOUS_ADDRESS_OK) {
    g_printerr ("usage: bench-signal COUNT ADDRESS\n");
    return 2;
  }
  talk.loop = g_main_loop_new (NULL, FALSE);
  talk.times = g_array_new (FALSE, FALSE, sizeof (PhTime));
  for (unsigned i = 0; i < 2; i++)
    ph_identity_generate (&talk.identities[i], &random);
  for (unsigned i = 0; i < 2; i++)
    start (&talk, i, &address);
  g_main_loop_run (talk.loop);
  g_array_sort (talk.times, compare_times);
  g_print ("%.3f %.3f\n", to_ms (g_array_index (talk.times, PhTime, talk.count / 2)),
           to_ms (g_array_index (talk.times, PhTime, talk.count - 1)));
  for (unsigned i = 0; i < 2; i++)
    ph_rendezvous_driver_free (talk.drivers[i]);
  g_array_unref (talk.times);
  g_main_loop_unref (talk.loop);
  return 0;
}
