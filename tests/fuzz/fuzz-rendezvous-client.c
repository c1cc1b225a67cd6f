/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rendezvous client's core against a server that says anything: the input is lines, each a frame.
 * The client watches one contact, has an invitation open and accepts another, and wants to be knocked at
 * whenever it can. A line "+" lets time pass, "-" closes. */

#include "net/signal/ph-rendezvous-client.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
settle (PhRendezvousClient *client, PhTime now)
{
  static const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN] = {1};
  PhRendezvousEvent event;
  PhAddr to;
  const char *why;
  char *text;

  while (ph_rendezvous_client_poll_request (client) != PH_RENDEZVOUS_REQUEST_NONE)
    ;
  while ((text = ph_rendezvous_client_poll_text (client)) != NULL) {
    g_assert_true (strlen (text) <= PH_RENDEZVOUS_FRAME_MAX);
    g_free (text);
  }
  while (ph_rendezvous_client_poll_event (client, &event))
    g_assert_true (g_utf8_validate (event.name, -1, NULL));
  if (ph_rendezvous_client_can_knock (client, &to)) {
    g_assert_true (ph_addr_is_set (&to));
    ph_rendezvous_client_knock (client, now, 40000, token);
    g_free (ph_rendezvous_client_poll_text (client));
  }
  /* Nothing that was due stays due. */
  ph_rendezvous_client_handle_timeout (client, now);
  g_assert_true (ph_rendezvous_client_next_timeout (client, &why) > now);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint8_t seeds[2][32] = {{1}, {2}};
  static const char *const hello[] = {
      "{\"type\":\"challenge\",\"protocol\":1,"
      "\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
      "{\"type\":\"welcome\",\"ice\":[{\"uri\":\"stun:192.0.2.1\"}],\"life\":600,"
      "\"knock_to\":\"198.51.100.1\"}",
  };
  PhIdentity us;
  PhIdentity them;
  PhRandomSeeded state;
  PhTime now = 1;

  ph_random_seeded_init (&state, 1);
  ph_identity_from_seed (&us, seeds[0]);
  ph_identity_from_seed (&them, seeds[1]);

  PhRendezvousClientConfig config = {
      .identity = &us, .name = "Name", .random = ph_random_seeded (&state)};
  PhInvitation ours = {.inviter = us.id};
  PhInvitation theirs = {.inviter = them.id, .secret = {1}};

  ph_rendezvous_address_parse ("ws://192.0.2.1:8080/", &config.address);

  g_autoptr (PhRendezvousClient) client = ph_rendezvous_client_new (&config);

  ph_rendezvous_client_watch (client, now, &them.id);
  ph_rendezvous_client_invite (client, now, &ours, 600 * PH_SEC);
  ph_rendezvous_client_accept (client, now, &theirs);
  ph_rendezvous_client_send (client, now, &them.id, ph_slice_string ("hello"));
  ph_rendezvous_client_start (client, now);
  settle (client, now);
  ph_rendezvous_client_handle_open (client, now);
  for (unsigned i = 0; size > 0 && data[0] != '!' && i < G_N_ELEMENTS (hello); i++) {
    ph_rendezvous_client_handle_text (client, now, ph_slice_string (hello[i]));
    settle (client, now);
  }

  while (size > 0) {
    const uint8_t *end = memchr (data, '\n', size);
    const size_t len = end != NULL ? (size_t)(end - data) : size;

    if (len == 1 && data[0] == '+')
      now += PH_SEC;
    else if (len == 1 && data[0] == '-')
      ph_rendezvous_client_handle_closed (client, now, PH_RENDEZVOUS_LOST, 0, "closed");
    else if (len == 1 && data[0] == 'o')
      ph_rendezvous_client_handle_open (client, now);
    else
      ph_rendezvous_client_handle_text (client, now, ph_slice (data, len));
    settle (client, now);
    data += MIN (len + 1, size);
    size -= MIN (len + 1, size);
  }
  return 0;
}
