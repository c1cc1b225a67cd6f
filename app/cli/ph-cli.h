/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One run of the command line: an engine, and a main loop that waits for it. */

#pragma once

#include "app/cli/ph-output.h"
#include "app/engine/ph-engine.h"

typedef struct _PhCli PhCli;
typedef void (*PhCliEventFunc) (PhCli *cli, const PhEvent *event, void *user);

/* What a command may name. */
typedef struct {
  char *id;
  char *name;
  bool online;
  bool blocked;
  bool auto_accept;
  int64_t added_at;
} PhCliContact;

struct _PhCli {
  /* owned */
  PhEngine *engine; /* NULL until ph_cli_open() */
  GMainLoop *loop;
  GPtrArray *contacts; /* of PhCliContact, kept up to date */
  GPtrArray *transfers; /* of char *: the ids that were unfinished at the start */
  GError *error; /* of the command that was waited for, NULL if it went well */
  char *text; /* and its result */
  GError *gone_error;

  /* set by the commands */
  const char *profile;
  bool online; /* status changes of the meeting point are told */
  PhCliEventFunc on_event;
  void *user;

  bool loaded;
  bool interrupted; /* Ctrl+C, or asked to end */
  bool timed_out;
  bool gone; /* the process whose engine this is has ended */
  uint32_t awaited;
  bool done;
  guint timeout_source;
  guint signal_sources[3];
  PhStatus status_told;
};

void ph_cli_init (PhCli *cli, const char *profile);
void ph_cli_clear (PhCli *cli);

/* Opens the profile, or the engine of the application that has it open, and waits until everything stored is
 * told. PH_EXIT_DONE, or what to exit with after
 * the error was told. Events go to `on_event`, those of the start included. */
PhExit ph_cli_open (PhCli *cli);
/* The same, and goes online. */
PhExit ph_cli_open_online (PhCli *cli);

/* Runs until ph_cli_quit(), a timeout, an interruption, or the end of the application whose engine this is;
 * false for the latter three. */
bool ph_cli_run (PhCli *cli);
void ph_cli_quit (PhCli *cli);
/* From now on; 0 s: none. */
void ph_cli_set_timeout (PhCli *cli, int seconds);

/* Runs until `command` is done: PH_EXIT_DONE and `cli->text`, or what to exit with after the reason
 * was told. */
PhExit ph_cli_wait (PhCli *cli, uint32_t command);

/* By name or ID; NULL after an error was told, with the nearest names. Valid until the loop runs. */
const PhCliContact *ph_cli_find_contact (PhCli *cli, const char *text);
/* By ID or a unique beginning of one; likewise. */
const char *ph_cli_find_transfer (PhCli *cli, const char *text);
bool ph_cli_knew_transfer (const PhCli *cli, const char *id);

/* Tells an error of the engine and returns what to exit with. */
PhExit ph_cli_fail (const GError *error);
PhExit ph_cli_exit_of (int engine_error);
