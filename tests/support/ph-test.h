/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every test starts with. */

#pragma once

#include "net/base/ph-addr.h"
#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"

#include <glib.h>
#include <stdbool.h>

/* g_test_init(), and refuses to go on where the machine's own network can be seen: ./run gives every
 * test a network namespace that holds nothing but lo and what the test itself makes. */
void ph_test_init (int *argc, char ***argv);

/* A generator from the test's seed: PH_SEED of the environment, else a fixed one. The seed is printed,
 * so that a failure can be run again. `name` keeps two generators of one test apart. */
PhRandom ph_test_random (PhRandomSeeded *state, const char *name);
uint64_t ph_test_seed (void);

/* Into the test's messages, with --verbose. */
extern const PhTrace ph_test_trace;

/* Runs a command that must succeed; its words are parted as by a shell. */
void ph_test_command (const char *line);

/* A network namespace of this test's own, with lo and an interface "near" that has these addresses, written as `ip`
 * takes them; NULL ends them. Agents rightly ignore lo, and coturn rightly relays nothing to it; and tests that run at
 * the same time do not see addresses come and go. */
void ph_test_network (const char *const *addresses);

/* A path below the source tree (tests/..., of TOP_SRCDIR); free with g_free(). */
char *ph_test_source_path (const char *relative);

/* A new empty folder below the temporary folder, removed with all its contents when the test
 * program ends. Free with g_free(). */
char *ph_test_tmpdir (void);

/* An address that is written so, with its port if it has one. */
PhAddr ph_test_addr (const char *text);

/* Runs the main context until the condition holds; a test that waits far longer than anything takes on a busy machine
 * ends there, and says for what. */
#define PH_TEST_WAIT_FOR(condition)                                                                \
  G_STMT_START                                                                                     \
  {                                                                                                \
    const guint _id = ph_test_be_patient (#condition);                                             \
    while (!(condition))                                                                           \
      g_main_context_iteration (NULL, TRUE);                                                       \
    g_source_remove (_id);                                                                         \
  }                                                                                                \
  G_STMT_END
/* Its timer. */
guint ph_test_be_patient (const char *what);
