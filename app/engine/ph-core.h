/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine thread's side of the engine: everything that happens there hangs off one PhCore.
 *
 * All functions here are called on the engine thread, whose GMainContext is thread-default. */

#pragma once

#include "app/engine/ph-engine.h"
#include "app/engine/ph-profile.h"

typedef enum {
  PH_COMMAND_TELL, /* the whole state, to listener `amount` */
  PH_COMMAND_CONNECT,
  PH_COMMAND_INVITE,
  PH_COMMAND_WITHDRAW, /* `subject`: the link; or `amount`: the number of the INVITE */
  PH_COMMAND_ADD,
  PH_COMMAND_RENAME,
  PH_COMMAND_REMOVE,
  PH_COMMAND_BLOCK,
  PH_COMMAND_AUTO_ACCEPT,
  PH_COMMAND_VERIFIED,
  PH_COMMAND_DISMISS_ALERT,
  PH_COMMAND_SEND,
  PH_COMMAND_ACCEPT,
  PH_COMMAND_DECLINE,
  PH_COMMAND_CANCEL,
  PH_COMMAND_PAUSE,
  PH_COMMAND_RESUME,
  PH_COMMAND_SEND_AGAIN,
  PH_COMMAND_LIST_FILES,
  PH_COMMAND_HISTORY,
  PH_COMMAND_FORGET,
  PH_COMMAND_GET_SETTING,
  PH_COMMAND_SET_SETTING,
  PH_COMMAND_NETWORK_REPORT,
  PH_COMMAND_CHECK_NETWORK,
  PH_COMMAND_NAT_LIFETIME,
  PH_COMMAND_TEST_SERVER,
  PH_COMMAND_EXPLAIN,
  PH_COMMAND_EXPLAIN_CONTACT,
  PH_COMMAND_EXPORT,
  PH_COMMAND_IMPORT,
  PH_COMMAND_LIST_INVITATIONS,
  PH_COMMANDS,
} PhCommandType;

/* A command on its way from the caller's thread. Owned by whoever holds it. */
typedef struct {
  PhCommandType type;
  uint32_t number; /* 0: no DONE is wanted */
  char *subject; /* contact, transfer, key, link, address or file */
  char *text; /* name, folder, value, words or passphrase; may be NULL */
  char *after; /* a row of the history, or NULL */
  char **paths;
  uint32_t amount; /* limit, milliseconds, kind or number */
  uint32_t first;
  uint64_t bytes;
  int64_t at; /* Unix seconds */
  bool flag;
} PhCommand;

void ph_command_free (PhCommand *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhCommand, ph_command_free)

typedef struct _PhCore PhCore;

/* Called with events on the engine thread; the event is copied before it returns. */
typedef void (*PhCoreEmit) (const PhEvent *event, gpointer user_data);

PhCore *ph_core_new (PhProfile *profile, PhCoreEmit emit, gpointer user_data);
/* Says goodbye on links that are up and frees. */
void ph_core_free (PhCore *self);
void ph_core_run (PhCore *self, const PhCommand *command);
