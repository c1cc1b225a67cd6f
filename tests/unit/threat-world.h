/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole engine, on real sockets, files and a database, and a contact that lies to it.
 *
 * The liar holds a key that the victim has among its contacts. It speaks QUIC on a socket of its own, and on the
 * streams whatever the test says (tests/support/ph-session-liar.h). Only that both found each other is skipped. */

#pragma once

#include "app/engine/ph-core-transfer.h"
#include "tests/support/ph-session-liar.h"
#include "tests/unit/engine-world.h"

typedef struct {
  char *root; /* nothing in it changes, but for `downloads` */
  char *downloads;
  char *profile_dir;
  PhProfile *profile;
  PhCore *core;
  PhPeer *peer; /* the liar, as the victim knows it; borrowed */
  GHashTable *told; /* id of a transfer -> Seen: what the person was told last */
  GPtrArray *names; /* of char *: top-level names that the person was told of last */
  GPtrArray *files; /* of char *: paths of the last list of files */
  GPtrArray *sent_as; /* and which of their names had to be another one */
  unsigned offers; /* snapshots of transfers that wait for an answer */
  GError *error; /* of the last command */
  unsigned done; /* commands that have ended */

  PhTlsIdentity *identity; /* the liar's */
  PhTlsIdentity *spoken; /* what it proves to hold; the same, but for an impostor */
  PhUdp *udp;
  PhTimer *timer;
  PhRandom random;
  PhLink *link; /* NULL: the handshake has not begun */
  PhLiar *liar; /* NULL: it is not READY */
  bool closed;
  uint64_t code; /* with which the victim closed the link */
  uint8_t *buffer;
  uint8_t honest; /* the last id of threat_still_works() */
} Threat;

Threat *threat_new (void);
/* A new link, with HELLO from both sides. */
void threat_connect (Threat *t);
/* The end of every test: the victim takes and delivers an honest file, nothing was written outside of the folder,
 * and no partial file is left. Frees. */
void threat_end (Threat *t);
/* The victim closes the link with `code`; then a new one is made. */
void threat_expect_cut (Threat *t, PhSessionCode code);

/* What waits in the liar goes out. */
void threat_settle (Threat *t);
/* An offer of these bytes as a manifest, with their real digest. */
void threat_offer_bytes (Threat *t, uint8_t id, const void *bytes, size_t len, uint32_t entries,
                         uint64_t total);
/* A proper offer. */
void threat_offer (Threat *t, uint8_t id, PhManifest *manifest);
/* The same, again while it is declined as busy, until the person is asked and has said yes. */
void threat_offer_accepted (Threat *t, uint8_t id, PhManifest *manifest);
/* Everything of `manifest`, zeros, from the beginning. */
void threat_send_all (Threat *t, uint8_t id, uint64_t attempt, PhManifest *manifest);
/* All of that, until the receipt is there. */
void threat_deliver (Threat *t, uint8_t id, PhManifest *manifest);

const Seen *threat_told (const Threat *t, uint8_t id);
/* Runs a command of the person's about transfer `id` to its end; whether it went well. */
bool threat_command (Threat *t, PhCommandType type, uint8_t id);
/* How often the victim said `type` in this link; the last in `ret_frame`. */
unsigned threat_heard (Threat *t, PhFrameType type, PhFrame *ret_frame);
/* A manifest of one entry, or of two: a folder and a file in it. NULL `second`: one. */
PhManifest *threat_manifest (const char *first, const char *second, uint64_t size);
/* The file is there, and holds so many zeros. */
void threat_assert_file (const Threat *t, const char *path, uint64_t size);
