/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other end of test-ice-foreign, by libnice; speaks as foreign-ice.py does.
 *
 *   foreign-nice controlling|controlled [tcp] */

#include <nice/agent.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  NiceAgent *agent;
  GMainLoop *loop;
  guint stream;
} Peer;

static void
on_data (NiceAgent *agent, guint stream, guint component, guint len, char *data, gpointer user)
{
  nice_agent_send (agent, stream, component, len, data);
}

/* The password line, the candidates, "end"; after that, the end of the input. */
static gboolean
on_input (GIOChannel *channel, GIOCondition condition, gpointer user)
{
  static GPtrArray *lines;
  Peer *peer = user;
  char *line = NULL;

  if (lines == NULL)
    lines = g_ptr_array_new_with_free_func (g_free);
  if (g_io_channel_read_line (channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_ptr_array_unref (lines);
    g_main_loop_quit (peer->loop);
    return G_SOURCE_REMOVE;
  }
  g_strchomp (line);
  if (strcmp (line, "end") != 0) {
    g_ptr_array_add (lines, line);
    return G_SOURCE_CONTINUE;
  }
  g_free (line);

  GSList *candidates = NULL;

  nice_agent_set_remote_credentials (peer->agent, peer->stream, lines->pdata[0], lines->pdata[1]);
  for (guint i = 2; i < lines->len; i++) {
    g_autofree char *sdp = g_strconcat ("a=", lines->pdata[i], NULL);
    NiceCandidate *candidate =
        nice_agent_parse_remote_candidate_sdp (peer->agent, peer->stream, sdp);

    if (candidate != NULL)
      candidates = g_slist_append (candidates, candidate);
  }
  nice_agent_set_remote_candidates (peer->agent, peer->stream, 1, candidates);
  nice_agent_peer_candidate_gathering_done (peer->agent, peer->stream);
  g_slist_free_full (candidates, (GDestroyNotify)nice_candidate_free);
  return G_SOURCE_CONTINUE;
}

static void
on_gathered (NiceAgent *agent, guint stream, gpointer user)
{
  g_autofree char *ufrag = NULL, *pwd = NULL;
  GSList *candidates = nice_agent_get_local_candidates (agent, stream, 1);

  nice_agent_get_local_credentials (agent, stream, &ufrag, &pwd);
  printf ("%s\n%s\n", ufrag, pwd);
  for (GSList *l = candidates; l != NULL; l = l->next) {
    g_autofree char *sdp = nice_agent_generate_local_candidate_sdp (agent, l->data);

    printf ("%s\n", sdp);
  }
  printf ("end\n");
  fflush (stdout);
  g_slist_free_full (candidates, (GDestroyNotify)nice_candidate_free);
}

int
main (int argc, char **argv)
{
  Peer peer = {.loop = g_main_loop_new (NULL, FALSE)};
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (0);
  const gboolean tcp = argc > 2;

  peer.agent = nice_agent_new (NULL, NICE_COMPATIBILITY_RFC5245);
  g_object_set (peer.agent, "controlling-mode", strcmp (argv[1], "controlling") == 0, "upnp", FALSE,
                "ice-tcp", tcp, "ice-udp", !tcp, NULL);
  peer.stream = nice_agent_add_stream (peer.agent, 1);
  nice_agent_attach_recv (peer.agent, peer.stream, 1, NULL, on_data, NULL);
  g_signal_connect (peer.agent, "candidate-gathering-done", G_CALLBACK (on_gathered), NULL);
  g_io_add_watch (input, G_IO_IN | G_IO_HUP, on_input, &peer);
  if (!nice_agent_gather_candidates (peer.agent, peer.stream))
    return 1;
  g_main_loop_run (peer.loop);
  g_object_unref (peer.agent);
  g_main_loop_unref (peer.loop);
  return 0;
}
