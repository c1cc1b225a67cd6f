/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine as the window sees it: objects to bind to and commands to call, all on the main thread, none
 * of which waits for disk or network.
 *
 * Properties (read-only, notified):
 *   status             PhStatus; `online` is true for PH_STATUS_ONLINE
 *   status-text        why people cannot be reached, a sentence; "" while they can
 *   device-id          this device, printed form
 *   name               how others see this device
 *   loaded             everything that is stored has been told, settings included
 *   contacts           GListModel of PhContactItem, in no order
 *   transfers          GListModel of PhTransferItem, newest first: unfinished, finished since the
 *                      start, and the newest of the history
 *   network            PhNetworkItem
 *   running            how many transfers are under way, those that only wait left out
 *
 * Signals:
 *   setting-changed::KEY (key)         a setting has another value, or was loaded
 *   offered (PhTransferItem)           somebody offers files
 *   ended (PhTransferItem)             a transfer is over, well or badly
 *   alert (PhContactItem, message)     somebody without this person's key answered in their place
 *   forgotten (id)                     a row of the history went, or "": many did
 *
 * Commands are GIO-style: start one with its _async function, end it with ph_client_finish(). IDs are those
 * of items. The client is the source object of every result. */

#pragma once

#include "app/model/ph-contact-item.h"
#include "app/model/ph-file-item.h"
#include "app/model/ph-network-item.h"
#include "app/model/ph-transfer-item.h"

#define PH_TYPE_CLIENT (ph_client_get_type ())
G_DECLARE_FINAL_TYPE (PhClient, ph_client, PH, CLIENT, GObject)

/* Opens a profile (NULL: the person's own). NULL and a PH_ENGINE_ERROR if that cannot be. */
PhClient *ph_client_new (const char *profile, GError **error);
/* Ends the engine: transfers go on with the next one. What was not finished ends with
 * G_IO_ERROR_CANCELLED. Blocks until what arrived is safe on disk. */
void ph_client_close (PhClient *self);
/* Goes online. */
void ph_client_connect (PhClient *self);
/* Lets porthole-cli use the engine, over this session bus, until the client is closed (ph-remote.h). The
 * connection outlives the client; NULL: there is none. */
void ph_client_export (PhClient *self, GDBusConnection *connection);

GListModel *ph_client_get_contacts (PhClient *self);
GListModel *ph_client_get_transfers (PhClient *self);
PhNetworkItem *ph_client_get_network (PhClient *self);
PhStatus ph_client_get_status (PhClient *self);
const char *ph_client_get_status_text (PhClient *self);
const char *ph_client_get_device_id (PhClient *self);
bool ph_client_get_loaded (PhClient *self);
unsigned ph_client_get_running (PhClient *self);
/* Borrowed; NULL if there is none. */
PhContactItem *ph_client_find_contact (PhClient *self, const char *id);
PhTransferItem *ph_client_find_transfer (PhClient *self, const char *id);

/* Takes an item out of the lists, or puts it back: a removal that the person may still undo. A contact comes back by
 * itself when the person is added again meanwhile. */
void ph_client_set_contact_hidden (PhClient *self, PhContactItem *contact, bool hidden);
bool ph_client_get_contact_hidden (PhClient *self, PhContactItem *contact);
void ph_client_set_transfer_hidden (PhClient *self, PhTransferItem *transfer, bool hidden);

/* A setting's value as last heard; "" before it is loaded and if it is unset. */
const char *ph_client_get_setting (PhClient *self, const char *key);
bool ph_client_get_flag (PhClient *self, const char *key); /* of a yes-or-no one */
/* False: the value is a default. */
bool ph_client_setting_is_set (PhClient *self, const char *key);

/* --- Commands (ph-client-commands.c) -------------------------------------------------------------- */

/* The result of a command: its text (ph-engine.h says which, "" if none), newly allocated; NULL and a
 * PH_ENGINE_ERROR with a sentence for the person if it failed. */
char *ph_client_finish (PhClient *self, GAsyncResult *result, GError **error);

/* The rows of a command that tells rows: PhTransferItem or PhFileItem. As above. */
GPtrArray *ph_client_finish_rows (PhClient *self, GAsyncResult *result, GError **error);

void ph_client_set_setting_async (PhClient *self, const char *key, const char *value,
                                  GAsyncReadyCallback callback, gpointer user_data);

typedef void (*PhClientLinkFunc) (PhClient *self, const char *link, gpointer user_data);
/* `link_func` is told the link when it is there; the command ends when it was used. Cancelling takes the
 * invitation back. `fresh`: not one of an earlier run that is still open. */
void ph_client_invite_async (PhClient *self, bool fresh, GCancellable *cancellable,
                             PhClientLinkFunc link_func, GAsyncReadyCallback callback,
                             gpointer user_data);
/* ph_engine_list_invitations(), ph_engine_withdraw_link(). */
void
ph_client_list_invitations_async (PhClient *self, GAsyncReadyCallback callback, gpointer user_data);
void ph_client_withdraw_async (PhClient *self, const char *link, GAsyncReadyCallback callback,
                               gpointer user_data);
void ph_client_add_async (PhClient *self, const char *link, const char *name,
                          GAsyncReadyCallback callback, gpointer user_data);
void ph_client_rename_async (PhClient *self, const char *contact, const char *name,
                             GAsyncReadyCallback callback, gpointer user_data);
void ph_client_remove_async (PhClient *self, const char *contact, GAsyncReadyCallback callback,
                             gpointer user_data);
void ph_client_block_async (PhClient *self, const char *contact, bool blocked,
                            GAsyncReadyCallback callback, gpointer user_data);
/* `max_bytes` 0: no cap. */
void ph_client_set_auto_accept_async (PhClient *self, const char *contact, bool auto_accept,
                                      uint64_t max_bytes, GAsyncReadyCallback callback,
                                      gpointer user_data);
void ph_client_set_verified_async (PhClient *self, const char *contact, bool verified,
                                   GAsyncReadyCallback callback, gpointer user_data);
void ph_client_dismiss_alert_async (PhClient *self, const char *contact,
                                    GAsyncReadyCallback callback, gpointer user_data);
/* On a thread: the text is the number (ph_engine_safety_number()). */
void ph_client_safety_number_async (PhClient *self, const char *contact,
                                    GAsyncReadyCallback callback, gpointer user_data);
/* The text is the JSON object of ph_engine_explain_contact(). */
void ph_client_explain_contact_async (PhClient *self, const char *contact,
                                      GAsyncReadyCallback callback, gpointer user_data);

void ph_client_send_async (PhClient *self, const char *contact, const char *const *paths,
                           GAsyncReadyCallback callback, gpointer user_data);
/* `folder` NULL: the download folder. */
void ph_client_accept_async (PhClient *self, const char *transfer, const char *folder,
                             GAsyncReadyCallback callback, gpointer user_data);
void ph_client_decline_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                              gpointer user_data);
void ph_client_cancel_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                             gpointer user_data);
void ph_client_pause_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                            gpointer user_data);
void ph_client_resume_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                             gpointer user_data);
void ph_client_send_again_async (PhClient *self, const char *transfer, GAsyncReadyCallback callback,
                                 gpointer user_data);
/* Rows: PhFileItem, from entry `first` on. Fewer than `limit` (PH_ENGINE_FILES_MAX at most): that was all. */
void ph_client_list_files_async (PhClient *self, const char *transfer, uint32_t first,
                                 uint32_t limit, GAsyncReadyCallback callback, gpointer user_data);
/* Rows: PhTransferItem, newest first. They are snapshots; live transfers are in `transfers`. */
void ph_client_load_history_async (PhClient *self, const PhHistoryQuery *query,
                                   GAsyncReadyCallback callback, gpointer user_data);
/* `transfer` NULL: all of `contact`, and with that NULL too: all. */
void ph_client_forget_async (PhClient *self, const char *transfer, const char *contact,
                             GAsyncReadyCallback callback, gpointer user_data);

/* Looks at the network again; `network` has what was found. */
void
ph_client_check_network_async (PhClient *self, GAsyncReadyCallback callback, gpointer user_data);
/* Finds out how long unused ports stay open, some minutes, or ends that; `network` has what was found. */
void ph_client_measure_lifetime_async (PhClient *self, bool begin, GAsyncReadyCallback callback,
                                       gpointer user_data);
/* The text is a sentence about how it answered. */
void ph_client_test_server_async (PhClient *self, PhServerKind kind, const char *address,
                                  GAsyncReadyCallback callback, gpointer user_data);

/* --- Moving to another device -------------------------------------------------------------------- */

void ph_client_export_identity_async (PhClient *self, const char *path, const char *passphrase,
                                      GAsyncReadyCallback callback, gpointer user_data);
/* Afterwards the client serves no more commands: close it and make a new one. */
void
ph_client_import_identity_async (PhClient *self, const char *path, const char *passphrase,
                                 bool replace, GAsyncReadyCallback callback, gpointer user_data);
