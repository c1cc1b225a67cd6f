/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What ph-client.c and ph-client-commands.c share. */

#pragma once

#include "app/engine/ph-remote.h"
#include "app/model/ph-client.h"

struct _PhClient {
  GObject parent_instance;

  PhEngine *engine; /* NULL after ph_client_close() */
  PhRemote *remote; /* NULL: not exported */
  GListStore *contacts;
  GListStore *transfers;
  GHashTable *contacts_by_id; /* PhContactItem, owned: hidden ones are in no list */
  GHashTable *transfers_by_id; /* likewise PhTransferItem */
  GHashTable *settings; /* key -> value */
  GHashTable *settings_set; /* keys that are not at their default */
  GHashTable *commands; /* command -> GTask, until it is done */
  PhNetworkItem *network;
  char *status_text;
  PhStatus status;
  unsigned running;
  bool loaded;
};

/* An event that belongs to a command: INVITATION, HISTORY, FILE, DONE. */
void ph_client_command_event (PhClient *self, const PhEvent *event);
/* Ends all commands that are under way. */
void ph_client_cancel_commands (PhClient *self);
