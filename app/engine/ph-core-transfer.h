/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that deal with transfers; see ph-core-private.h. */

#pragma once

#include "app/engine/ph-core-private.h"

/* Lives in `core` until it has ended, and a while beyond. `peer` NULL: the contact is gone. `manifest` NULL:
 * not known yet, ph_transfer_set_manifest() brings it. */
PhTransfer *ph_transfer_new (PhCore *core, PhPeer *peer, const PhTransferId *id, bool outgoing,
                             PhManifest *manifest);
void ph_transfer_set_manifest (PhTransfer *self, PhManifest *manifest);
PhTransfer *ph_core_find_transfer (const PhCore *self, const PhTransferId *id);

/* Sets the state and sees to it that a snapshot goes out. */
void ph_transfer_news (PhTransfer *self, PhTransferState state);
void ph_transfer_set_path (PhTransfer *self, PhTime now, const PhPath *path);
/* Sets the path of the link that new data goes to, if there is one. */
void ph_transfer_take_path (PhTransfer *self, PhTime now);
/* Final, once: row, receipt and snapshot. `code` is static. */
void ph_transfer_end (PhTransfer *self, PhTime now, PhTransferState state, const char *code,
                      const char *message);
/* `by_peer`: an offer that this person has not answered was missed. */
void ph_transfer_end_by (PhTransfer *self, PhTime now, PhTransferState state, const char *code,
                         const char *message, bool by_peer);

/* Adds the row, OFFERED without the manifest; of an offer that has one makes it accepted. */
bool ph_transfer_store (PhTransfer *self, PhStoreState state, GError **error);
void ph_transfer_set_stored (PhTransfer *self, PhStoreState state);
/* A sink at the transfer's checkpoint, or at the beginning. */
PhSink *ph_transfer_make_sink (PhTransfer *self);

/* --- ph-core-stalled.c: what stopped at this end for want of room, or of the disk --- */

/* The sink failed with `event`, and could go on: it is looked for the reason to be gone from time to time. */
void ph_transfer_stall (PhTransfer *self, PhTime now, const PhSessionEvent *event);
/* Goes on, if the reason is gone: without being asked that was looked at already. OK, or `detail` says what
 * is wrong. */
PhStorageError ph_transfer_unstall (PhTransfer *self, bool asked, char detail[160]);
/* No more looking; what looks just now is left to itself. */
void ph_transfer_drop_stall_check (PhTransfer *self);

/* Whether this offer is taken without asking: what was taken so in the last 24 hours counts. */
bool ph_peer_may_take (PhPeer *self, PhTime now, const PhManifest *manifest);
void ph_peer_note_taken (PhPeer *self, PhTime now, const PhManifest *manifest);

/* The code and the sentence for what went wrong with files. The sentence is translated and static. */
PhEngineError ph_storage_error_code (PhStorageError error);
const char *ph_storage_error_text (PhStorageError error, bool here);
/* The same for a transfer that waits until the receiver has mended it. */
const char *ph_storage_stall_text (PhStorageError error, bool here);
