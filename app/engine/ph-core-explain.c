/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How connecting to one contact goes, for a person who wants to know why. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-private.h"

#include <json-glib/json-glib.h>

/* --- The log ------------------------------------------------------------------------------------ */

typedef struct {
  PhTime at;
  char *line;
} Line;

static void
line_free (gpointer data)
{
  Line *self = data;

  g_free (self->line);
  g_free (self);
}

static void
note (void *user, PhTime now, const char *module, const char *text)
{
  PhPeer *self = user;
  Line *line = g_new0 (Line, 1);

  line->at = now;
  line->line = g_strdup_printf ("%s: %s", module, text);
  g_queue_push_tail (&self->log, line);
  if (self->log.length > PH_CORE_LOG_MAX)
    line_free (g_queue_pop_head (&self->log));
  ph_trace (&self->core->trace, now, module, "%s", text);
}

void
ph_peer_log_start (PhPeer *self)
{
  g_queue_init (&self->log);
  self->trace = (PhTrace){note, self};
}

void
ph_peer_log_clear (PhPeer *self)
{
  g_queue_clear_full (&self->log, line_free);
}

/* --- The report --------------------------------------------------------------------------------- */

static void
add_text (JsonBuilder *json, const char *name, const char *value)
{
  json_builder_set_member_name (json, name);
  json_builder_add_string_value (json, value);
}

static void
add_addr (JsonBuilder *json, const char *name, const PhAddr *addr)
{
  char text[PH_ADDR_STRING_MAX];

  add_text (json, name, ph_addr_format (addr, text));
}

static void
add_ms (JsonBuilder *json, const char *name, PhTime interval)
{
  json_builder_set_member_name (json, name);
  if (interval == 0)
    json_builder_add_null_value (json);
  else
    json_builder_add_double_value (json, (double)(interval / (100 * PH_USEC)) / 10.0);
}

static const char *
state_word (const PhPeer *self)
{
  if (self->contact->blocked)
    return "blocked";
  if (self->contact->alerted_at != 0)
    return "alert";
  if (self->connector == NULL)
    return "not-started";
  if (ph_connector_is_up (self->connector))
    return "connected";
  if (ph_connector_agent (self->connector) != NULL)
    return "connecting";
  return self->online ? "idle" : "offline";
}

static void
add_candidate (JsonBuilder *json, const char *side, const PhCandidate *candidate)
{
  json_builder_begin_object (json);
  add_text (json, "side", side);
  add_text (json, "kind", ph_candidate_type_name (candidate->type));
  add_text (json, "transport", candidate->transport == PH_CANDIDATE_UDP ? "udp" : "tcp");
  add_addr (json, "address", &candidate->addr);
  json_builder_end_object (json);
}

typedef struct {
  JsonBuilder *json;
  GArray *remotes; /* PhAddr: told already */
} Telling;

static bool
add_remote (void *user, const PhIcePair *pair)
{
  Telling *telling = user;

  for (guint i = 0; i < telling->remotes->len; i++) {
    if (ph_addr_equal (&g_array_index (telling->remotes, PhAddr, i), &pair->remote.addr))
      return true;
  }
  g_array_append_val (telling->remotes, pair->remote.addr);
  add_candidate (telling->json, "remote", &pair->remote);
  return true;
}

static bool
add_pair (void *user, const PhIcePair *pair)
{
  JsonBuilder *json = user;

  json_builder_begin_object (json);
  add_addr (json, "local", &pair->local.addr);
  add_addr (json, "remote", &pair->remote_addr);
  add_text (json, "local_kind", ph_candidate_type_name (pair->local.type));
  add_text (json, "remote_kind", ph_candidate_type_name (pair->remote.type));
  add_text (json, "state", ph_ice_pair_state_name (pair->state));
  add_ms (json, "rtt_ms", pair->rtt);
  add_text (json, "why", pair->why == PH_ICE_WHY_NONE ? "" : ph_ice_why_name (pair->why));
  json_builder_set_member_name (json, "selected");
  json_builder_add_boolean_value (json, pair->selected);
  json_builder_end_object (json);
  return true;
}

static void
add_candidates (PhCore *self, JsonBuilder *json, const PhIceAgent *agent)
{
  PhCandidate local[PH_ICE_LOCAL_MAX];
  const size_t n =
      ph_gatherer_candidates (ph_endpoint_gatherer (self->endpoint), local, PH_ICE_LOCAL_MAX);
  g_autoptr (GArray) remotes = g_array_new (FALSE, FALSE, sizeof (PhAddr));
  Telling telling = {json, remotes};

  json_builder_set_member_name (json, "candidates");
  json_builder_begin_array (json);
  for (size_t i = 0; i < n; i++)
    add_candidate (json, "local", &local[i]);
  if (agent != NULL)
    ph_ice_agent_for_each_pair (agent, add_remote, &telling);
  json_builder_end_array (json);
}

static void
add_links (const PhPeer *self, JsonBuilder *json)
{
  PhLink *link;

  json_builder_set_member_name (json, "links");
  json_builder_begin_array (json);
  for (unsigned i = 0;
       self->connector != NULL && (link = ph_connector_nth_link (self->connector, i)) != NULL;
       i++) {
    PhPath path;

    if (!ph_connector_link_path (self->connector, link, &path))
      continue;
    json_builder_begin_object (json);
    add_text (json, "path", ph_path_kind_name (path.kind));
    add_text (json, "local_kind", ph_candidate_type_name (path.local.type));
    add_text (json, "remote_kind", ph_candidate_type_name (path.remote.type));
    add_addr (json, "local", &path.local.addr);
    add_addr (json, "remote", &path.remote_to);
    add_ms (json, "rtt_ms", path.rtt);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
}

static void
add_log (const PhPeer *self, JsonBuilder *json, PhTime now)
{
  json_builder_set_member_name (json, "log");
  json_builder_begin_array (json);
  for (const GList *l = self->log.head; l != NULL; l = l->next) {
    const Line *line = l->data;

    json_builder_begin_object (json);
    json_builder_set_member_name (json, "at_ms");
    json_builder_add_int_value (json, (int64_t)(ph_time_since (now, line->at) / PH_MSEC));
    add_text (json, "line", line->line);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
}

void
ph_core_explain_contact (PhCore *self, const PhCommand *command)
{
  const PhPeer *peer = ph_core_need_peer (self, command);
  const PhIceAgent *agent;
  g_autoptr (JsonBuilder) json = NULL;
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  if (peer == NULL)
    return;
  agent = peer->connector != NULL ? ph_connector_agent (peer->connector) : NULL;
  json = json_builder_new ();
  json_builder_begin_object (json);
  add_text (json, "state", state_word (peer));
  add_candidates (self, json, agent);
  json_builder_set_member_name (json, "pairs");
  json_builder_begin_array (json);
  if (agent != NULL)
    ph_ice_agent_for_each_pair (agent, add_pair, json);
  json_builder_end_array (json);
  add_links (peer, json);
  add_log (peer, json, ph_core_now (self));
  json_builder_end_object (json);
  root = json_builder_get_root (json);
  text = json_to_string (root, FALSE);
  ph_core_done (self, command->number, NULL, text);
}
