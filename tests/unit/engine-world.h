/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole engines in one process, on real sockets with a real porthole-rendezvous between them. */

#pragma once

#include "app/engine/ph-engine.h"
#include "tests/support/ph-test.h"

#include <gio/gio.h>
#include <string.h>

/* Far above what anything here takes, sanitizers included; reaching it is a failure. */
#define PATIENCE_S 60

typedef struct {
  char *id, *contact, *code, *message, *path, *folder;
  PhDirection direction;
  PhTransferState state;
  uint64_t bytes_done, bytes_total;
  int first_byte_ms;
  bool missed, can_send_again;
  int64_t expires_at;
} Seen;

typedef struct {
  char *name;
  bool online, blocked, auto_accept, verified, alert;
  uint64_t auto_accept_max;
  int64_t last_seen;
} SeenContact;

/* One person's engine, and what it has told. */
typedef struct {
  char *dir;
  PhEngine *engine;
  GHashTable *transfers; /* id -> Seen */
  GHashTable *contacts; /* id -> SeenContact */
  GHashTable *done; /* command -> GError or NULL */
  GHashTable *texts; /* command -> text */
  GHashTable *settings; /* key -> value */
  GPtrArray *history; /* of Seen: rows since it was last emptied */
  GPtrArray *files; /* of char *: "path size sha256 state", likewise */
  char *link;
  char *network; /* the last report */
  char *forgotten; /* the last FORGOTTEN, "transfer contact" */
  PhStatus status;
  bool loaded;
  uint64_t least_active; /* bytes_done while bytes flow, since the start */
} Node;

/* The listener of a Node. */
void node_hear (const PhEvent *event, gpointer node);
Node *node_new (void);
void node_open (Node *node);
void node_close (Node *node);
void node_free (Node *node);

/* Runs the main loop until `condition` holds. */
#define wait_until(condition)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    bool late = false;                                                                             \
    const guint alarm = g_timeout_add_seconds (PATIENCE_S, world_ring, &late);                     \
                                                                                                   \
    while (!(condition) && !late)                                                                  \
      g_main_context_iteration (NULL, TRUE);                                                       \
    if (late)                                                                                      \
      g_error ("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #condition);                   \
    g_source_remove (alarm);                                                                       \
  }                                                                                                \
  G_STMT_END
gboolean world_ring (gpointer late);

bool is_done (const Node *node, uint32_t command);
/* Waits for the end of a command and returns its text; it must have gone well. */
const char *finish (Node *node, uint32_t command);
void finish_badly (Node *node, uint32_t command, PhEngineError code);

/* What was told of a transfer; "preparing" of one that nothing was told of. */
const Seen *seen (const Node *node, const char *id);
/* What was told of a contact; an empty one if nothing was. */
const SeenContact *seen_contact (const Node *node, const char *id);
const char *seen_setting (const Node *node, const char *key);
bool is_in (const Node *node, const char *id, PhTransferState state);
bool has_ended (const Node *node, const char *id);

char *write_file (const char *dir, const char *name, size_t len);
void assert_same_file (const char *a, const char *b);
unsigned count_entries (const char *dir);

/* Two people who know each other. */
typedef struct {
  Node *left, *right;
  char *downloads, *files;
} Pair;

Pair *pair_new (void);
void pair_free (Pair *pair);
/* From left to right; the transfer's id. */
char *send_one (Pair *pair, const char *path);
char *send_and_wait_for_offer (Pair *pair, const char *path);
void assert_delivered (Pair *pair, const char *id);

/* An address that is no loopback one, and a meeting point. */
void world_start (void);
void world_stop (void);
/* Of the meeting point that everybody uses. */
extern char *world_server_url;
/* Another meeting point. */
GSubprocess *world_start_server (char **ret_url);
void world_stop_server (GSubprocess *process);
