/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands, and what they share in reading their arguments. */

#pragma once

#include "app/cli/ph-cli.h"

typedef struct {
  const char *name;
  const char *arguments; /* translatable, "" if there are none */
  const char *summary; /* translatable */
  PhExit (*run) (PhCli *cli, int argc, char **argv);
} PhCommandInfo;

/* Ends with a NULL name. */
extern const PhCommandInfo ph_commands[];

/* Reads the options of the command argv[0] into `entries` (NULL: it has none); the global ones may
 * stand here as well. `ret_args` gets what is left, to be freed with g_strfreev(): between `min` and
 * `max` arguments (`max` < 0: any number). False after an error was told: PH_EXIT_USAGE. */
bool ph_commands_parse (PhCli *cli, int argc, char **argv, const GOptionEntry *entries, int min,
                        int max, char ***ret_args);

PhExit ph_cmd_id (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_config (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_nat (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_invite (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_add (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_contacts (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_rename (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_remove (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_block (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_unblock (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_transfers (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_history (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_pause (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_resume (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_cancel (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_send (PhCli *cli, int argc, char **argv);
PhExit ph_cmd_receive (PhCli *cli, int argc, char **argv);
