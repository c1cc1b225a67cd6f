/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine: everything Porthole does, without a window.
 *
 * One engine owns one profile (a folder with identity, settings and database) and one thread. The
 * thread owns the GMainContext of all sockets, the protocol cores and the database's writes. The caller
 * talks to it by commands and hears from it by events:
 *
 * - A command returns at once with its number. It ends with exactly one PH_EVENT_DONE of that number.
 *   Arguments are copied. Commands are carried out in order.
 *   Commands may be given on any thread.
 * - Events are delivered to every listener by its callback, on the GMainContext that was thread-default
 *   where it was added. They are value snapshots: everything an event points to belongs to it and is
 *   gone after the callback returns. Progress is coalesced: at most one PH_EVENT_TRANSFER a transfer is
 *   under way to a listener, and it carries the newest values.
 * - Each listener is first told the whole state (SETTING for every key, STATUS, CONTACT, TRANSFER for
 *   unfinished ones, NETWORK if it is known), then PH_EVENT_LOADED.
 *
 * Text in events: `message`s are translated sentences for the person, they say what can be done;
 * `code`s are stable English identifiers for programs. Names of contacts and files are valid UTF-8 as
 * the peer sent them: escape them with ph_display_name() before showing. */

#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

G_BEGIN_DECLS

#define PH_ENGINE_ERROR (ph_engine_error_quark ())
GQuark ph_engine_error_quark (void);

typedef enum {
  PH_ENGINE_ERROR_FAILED, /* anything without a code of its own */
  PH_ENGINE_ERROR_PROFILE_IN_USE, /* another process owns the profile */
  PH_ENGINE_ERROR_PROFILE_UNUSABLE, /* cannot be made, read or written; wrong permissions */
  PH_ENGINE_ERROR_PROFILE_NEWER, /* made by a newer Porthole */
  PH_ENGINE_ERROR_UNKNOWN_CONTACT,
  PH_ENGINE_ERROR_UNKNOWN_TRANSFER,
  PH_ENGINE_ERROR_UNKNOWN_SETTING,
  PH_ENGINE_ERROR_BAD_VALUE, /* of a setting or argument */
  PH_ENGINE_ERROR_NO_RENDEZVOUS, /* no meeting point is configured */
  PH_ENGINE_ERROR_OFFLINE, /* the meeting point cannot be reached */
  PH_ENGINE_ERROR_BAD_INVITATION, /* not an invitation link, or damaged */
  PH_ENGINE_ERROR_INVITATION_USED,
  PH_ENGINE_ERROR_INVITATION_EXPIRED, /* or withdrawn, or never made */
  PH_ENGINE_ERROR_OWN_INVITATION,
  PH_ENGINE_ERROR_BLOCKED,
  PH_ENGINE_ERROR_DECLINED,
  PH_ENGINE_ERROR_CANCELLED,
  PH_ENGINE_ERROR_UNREACHABLE, /* the contact is online and no path was found */
  PH_ENGINE_ERROR_TIMED_OUT,
  PH_ENGINE_ERROR_FILES, /* a file to send cannot be read, or changed */
  PH_ENGINE_ERROR_FOLDER, /* the folder to write into cannot be used */
  PH_ENGINE_ERROR_NO_SPACE,
  PH_ENGINE_ERROR_MISMATCH, /* bytes did not match their hash, twice */
  PH_ENGINE_ERROR_PEER, /* the other side broke the protocol or failed */
  PH_ENGINE_ERROR_EXPIRED, /* the contact was not there for as long as the setting queue-days says */
  PH_ENGINE_ERROR_IDENTITY, /* whoever answers does not hold the contact's key */
  PH_ENGINE_ERROR_NOT_FRESH, /* the profile to import into is in use: replace it explicitly */
  PH_ENGINE_ERROR_BAD_EXPORT, /* not an exported identity, or damaged */
  PH_ENGINE_ERROR_PASSPHRASE, /* wrong, or too short */
  PH_ENGINE_ERROR_SERVER, /* a server that was tested does not answer as it should */
} PhEngineError;

/* "profile-in-use", "no-rendezvous", ...: the `code` of JSON output. Static. */
const char *ph_engine_error_code (int code);

/* --- Snapshots ---------------------------------------------------------------------------------- */

typedef enum {
  PH_STATUS_NOT_CONFIGURED, /* no meeting point */
  PH_STATUS_CONNECTING,
  PH_STATUS_ONLINE,
  PH_STATUS_OFFLINE, /* tried; `retry_ms` says when again */
  PH_STATUS_REPLACED, /* the same profile logged in elsewhere */
} PhStatus;

typedef struct {
  PhStatus status;
  const char *rendezvous; /* address, "" if none */
  const char *reason; /* why offline, a sentence; "" */
  uint32_t retry_ms;
} PhStatusView;

typedef struct {
  const char *id; /* device ID in its printed form; the handle in all commands */
  const char *name;
  bool online;
  bool blocked;
  bool auto_accept; /* offers are taken without asking... */
  uint64_t auto_accept_max; /* ...up to so many bytes in 24 hours; 0: no cap */
  bool verified; /* the person compared safety numbers */
  /* Somebody without this contact's key answered in its place: nothing was sent, and nothing is tried
   * until ph_engine_dismiss_alert(). */
  bool alert;
  int64_t added_at; /* Unix seconds; rises when somebody who is a contact is added again */
  int64_t last_seen; /* likewise: last online; 0 never */
} PhContactView;

typedef enum { PH_DIRECTION_SEND, PH_DIRECTION_RECEIVE } PhDirection;

typedef enum {
  PH_TRANSFER_PREPARING, /* looking at the files */
  PH_TRANSFER_WAITING, /* for the contact, or for a path to it: `code` and `message` say why */
  PH_TRANSFER_CONNECTING,
  PH_TRANSFER_OFFERED, /* sender: for the answer; receiver: for this person to answer */
  PH_TRANSFER_ACTIVE, /* bytes flow (or would, but for a break: see `path`) */
  PH_TRANSFER_PAUSED,
  PH_TRANSFER_CHECKING, /* all bytes there, being synced and checked */
  /* ended: */
  PH_TRANSFER_DONE, /* sender: delivered; receiver: received */
  PH_TRANSFER_DECLINED,
  PH_TRANSFER_CANCELLED,
  PH_TRANSFER_FAILED,
} PhTransferState;

static inline bool
ph_transfer_state_ended (PhTransferState state)
{
  return state >= PH_TRANSFER_DONE;
}

typedef struct {
  const char *id; /* 32 hex digits */
  const char *contact; /* device ID */
  const char *contact_name;
  PhDirection direction;
  PhTransferState state;
  const char *const *names; /* top-level names, at most 16; NULL-terminated */
  uint32_t files;
  uint64_t bytes_total;
  uint64_t bytes_done; /* written by the receiver; resumes keep it */
  uint64_t rate; /* bytes a second over the last seconds; 0 unknown */
  int64_t created_at; /* Unix seconds */
  int64_t finished_at;
  uint32_t duration_ms; /* first acceptance to end, of this run */
  int32_t first_byte_ms; /* acceptance to the receiver's first write; -1 not yet */
  const char *folder; /* where received files are, "" for a send */
  bool paused_here; /* PAUSED by this side */
  /* An offer that ended without an answer of this person: withdrawn, or gone while they were away. Its
   * state is CANCELLED. */
  bool missed;
  bool can_send_again; /* ended, a send, and what was sent is known: ph_engine_send_again() */
  int64_t expires_at; /* a send that waits: when it is given up; 0 never */

  /* The path in use, or the last one; "" where there is none. Words of the JSON contract. */
  const char *path; /* "lan", "udp", "tcp", "relay" */
  const char *best_path;
  const char *transport; /* "quic", "tls" */
  const char *local_kind; /* "host", "srflx", "prflx", "mapped", "relay" */
  const char *remote_kind;
  const char *local_addr;
  const char *remote_addr;
  uint32_t rtt_ms;
  int32_t direct_ms; /* acceptance to the first direct path; -1 none */

  /* Ended badly; or WAITING, or PAUSED for want of room or a folder, and why: */
  const char *code; /* ph_engine_error_code(), "" if all is well */
  const char *message;
  uint32_t retry_ms; /* WAITING: when it is tried again, also said by `message`; 0: not by time */
} PhTransferView;

typedef struct {
  const char *key;
  const char *value; /* in force: the default, if it is not set */
  bool is_set;
} PhSettingView;

typedef enum {
  PH_FILE_WAITING, /* nothing of it is there */
  PH_FILE_PARTIAL,
  PH_FILE_DONE,
} PhFileState;

typedef struct {
  uint32_t index; /* in the transfer */
  const char *path; /* relative, parted by '/' */
  const char *sent_as; /* the sender's name for it, where it has another here; else "" */
  bool folder;
  uint64_t size;
  const char *sha256; /* 64 hex digits; "" not known (yet) */
  PhFileState state;
} PhFileView;

/* --- Events ------------------------------------------------------------------------------------- */

typedef enum {
  PH_EVENT_LOADED,
  PH_EVENT_STATUS, /* `status` */
  PH_EVENT_CONTACT, /* `contact`: added or changed */
  PH_EVENT_CONTACT_REMOVED, /* `contact`: only its id counts */
  PH_EVENT_TRANSFER, /* `transfer`: added or changed */
  PH_EVENT_INVITATION, /* `command`, `text`: the link; the command stays open until it is used */
  PH_EVENT_EXPLAIN, /* `text`: one line of why (connector trace), when asked for */
  PH_EVENT_SETTING, /* `setting`: at the start and when it changed */
  PH_EVENT_NETWORK, /* `text`: the JSON object of `nat --json`, when anything in it changed */
  PH_EVENT_ALERT, /* `contact` and `text`, a sentence: see PhContactView.alert; CONTACT comes as well */
  PH_EVENT_HISTORY, /* `command`, `transfer`: a row of ph_engine_load_history() */
  /* Rows of the history are gone: `transfer.id`, or if that is "" all of `contact.id`, or if that is ""
   * all. */
  PH_EVENT_FORGOTTEN,
  PH_EVENT_FILE, /* `command`, `file`: of ph_engine_list_files() */
  /* Another process' engine (ph-remote.h) has ended: `error`. Commands under way were told DONE. */
  PH_EVENT_GONE,
  PH_EVENT_DONE, /* `command`, `error` (NULL: well), `text`: a transfer id, contact id... */
} PhEventType;

typedef struct {
  PhEventType type;
  uint32_t listener; /* the engine's own: whom it goes to, 0 all */
  uint32_t command;
  const GError *error;
  const char *text;
  PhStatusView status;
  PhContactView contact;
  PhTransferView transfer;
  PhSettingView setting;
  PhFileView file;
} PhEvent;

typedef void (*PhEventFunc) (const PhEvent *event, gpointer user_data);

/* --- The engine --------------------------------------------------------------------------------- */

typedef struct _PhEngine PhEngine;

/* Opens the profile `dir` (NULL: the person's own, $XDG_DATA_HOME/porthole), making it if need be,
 * locks it, and starts the thread. NULL and `error` (PH_ENGINE_ERROR) if that cannot be. */
PhEngine *ph_engine_new (const char *dir, PhEventFunc func, gpointer user_data, GError **error);
/* Stops: links are closed politely, what is durable is committed, the thread is joined. No event is
 * delivered afterwards. Unfinished transfers continue with the next engine. Not from within the
 * callback. */
void ph_engine_free (PhEngine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhEngine, ph_engine_free)

/* One more listener, told the whole state first. Returns its number. */
uint32_t ph_engine_add_listener (PhEngine *self, PhEventFunc func, gpointer user_data);
/* On the thread of its context. It hears nothing afterwards; its unfinished commands go on. */
void ph_engine_remove_listener (PhEngine *self, uint32_t listener);

/* This device's ID in its printed form. Constant; owned by the engine. */
const char *ph_engine_device_id (const PhEngine *self);

/* Goes online: without this the engine only tells and changes what is stored. For commands that need
 * no network (id, contacts, history, config). */
void ph_engine_connect (PhEngine *self);

/* Makes an invitation. PH_EVENT_INVITATION brings the link; DONE comes when it was used (`text`: the new
 * contact's id), or failed. `name`: what to call whoever uses it, NULL: the name they give. */
uint32_t ph_engine_invite (PhEngine *self, const char *name);
/* The same, for whoever uses it; but the newest of earlier runs that nobody has used or taken back yet is taken up,
 * if there is one. */
uint32_t ph_engine_invite_again (PhEngine *self);
/* Takes the invitation of that command back: nobody can use its link any more. The command ends with
 * PH_ENGINE_ERROR_CANCELLED; nothing happens if it is over already. */
uint32_t ph_engine_withdraw (PhEngine *self, uint32_t invite);
/* The same by its link, of this run or an earlier one. */
uint32_t ph_engine_withdraw_link (PhEngine *self, const char *link);
/* The invitations that can still be used, oldest first. DONE has a JSON array in `text`, of objects: "link", "name" (what
 * whoever uses it will be called; "": as they say), "made_at" (Unix seconds). */
uint32_t ph_engine_list_invitations (PhEngine *self);
/* Uses an invitation. DONE: `text` is the new contact's id. */
uint32_t ph_engine_add (PhEngine *self, const char *link, const char *name);
uint32_t ph_engine_rename (PhEngine *self, const char *contact, const char *name);
uint32_t ph_engine_remove (PhEngine *self, const char *contact);
uint32_t ph_engine_block (PhEngine *self, const char *contact, bool blocked);
/* Takes offers without asking, into the download folder, where there is room, up to `max_bytes` (0: any)
 * together in 24 hours; a file counts some kilobytes more than it has. Offers that go beyond that, or cannot be
 * taken, are asked about. To accept one "always": this, then
 * ph_engine_accept(). */
uint32_t ph_engine_set_auto_accept (PhEngine *self, const char *contact, bool auto_accept,
                                    uint64_t max_bytes);

/* The number that two people compare to know that nobody stands between them: twelve groups of five
 * digits, the same on both sides (docs/protocol.md, "Safety number"). To be freed; NULL if `contact` is
 * no device ID. Takes some milliseconds. */
char *ph_engine_safety_number (const PhEngine *self, const char *contact);
uint32_t ph_engine_set_verified (PhEngine *self, const char *contact, bool verified);
/* The person has read the alert: connections to the contact are tried again. */
uint32_t ph_engine_dismiss_alert (PhEngine *self, const char *contact);

/* Offers `paths` (files and folders) to a contact. DONE comes when the files are looked at and the
 * transfer is stored: `text` is its id, or `error`. From then on it goes by itself, over restarts too. */
uint32_t ph_engine_send (PhEngine *self, const char *contact, const char *const *paths);
/* Takes an offer; `folder` NULL: the setting download-dir. */
uint32_t ph_engine_accept (PhEngine *self, const char *transfer, const char *folder);
uint32_t ph_engine_decline (PhEngine *self, const char *transfer);
uint32_t ph_engine_cancel (PhEngine *self, const char *transfer);
uint32_t ph_engine_pause (PhEngine *self, const char *transfer);
uint32_t ph_engine_resume (PhEngine *self, const char *transfer);
/* Sends what an ended send sent, as it is on disk, to the same contact. DONE: as of ph_engine_send(). */
uint32_t ph_engine_send_again (PhEngine *self, const char *transfer);

/* A page of a transfer's entries, finished or not: at most `limit` and PH_ENGINE_FILES_MAX from `first`
 * on, as FILE events. DONE: `text` is the index to go on with, "" at the end. */
#define PH_ENGINE_FILES_MAX 1000u
uint32_t
ph_engine_list_files (PhEngine *self, const char *transfer, uint32_t first, uint32_t limit);

/* What to tell of the history. Zeros and NULLs mean: everything. */
typedef struct {
  const char *contact; /* device ID */
  const char *search; /* words that a file's, folder's or contact's name holds, whatever the case */
  bool missed_only;
  uint32_t limit; /* 0: all */
  /* Only what comes after this row: `finished_at` and `id` of the last one of the page before. */
  int64_t before_at;
  const char *before_id;
} PhHistoryQuery;

/* Tells finished transfers, newest first, as HISTORY events, then DONE. */
uint32_t ph_engine_load_history (PhEngine *self, const PhHistoryQuery *query);
/* Forgets one finished transfer, or with NULL all finished ones of `contact`, or with NULL all. Files stay
 * where they are. FORGOTTEN tells every listener. */
uint32_t ph_engine_forget (PhEngine *self, const char *transfer, const char *contact);

/* Settings, told as SETTING events. Keys: ph_engine_setting_keys(). DONE of a get has the value in `text`.
 * Setting "" unsets. Yes and no are "true" and "false".
 *
 *   name               what others see; not set: ask for it at the first start
 *   rendezvous         the meeting point's address
 *   stun, turn         servers besides those that meeting points hand out; several parted by commas
 *   download-dir       where received files go
 *   speed-limit-up, speed-limit-down   bytes a second for all transfers together; 0 none
 *   private-mode       ended transfers leave no trace
 *   queue-days         how long files for somebody offline wait; 0 for ever
 *   auto-start, run-in-background, notifications   yes or no; the app's own, kept here */
uint32_t ph_engine_get_setting (PhEngine *self, const char *key);
uint32_t ph_engine_set_setting (PhEngine *self, const char *key, const char *value);
const char *const *ph_engine_setting_keys (void);

/* The network as known now: DONE has the JSON object of `nat --json` in `text`. Waits for the STUN
 * answers, `timeout_ms` at most. */
uint32_t ph_engine_network_report (PhEngine *self, uint32_t timeout_ms);

/* Asks all servers again. DONE as of ph_engine_network_report(). */
uint32_t ph_engine_check_network (PhEngine *self, uint32_t timeout_ms);

/* Finds out how long this network keeps a mapping that nothing uses, minutes at most; the report tells how far
 * it has come. DONE as of ph_engine_network_report(). `begin` false: ends that, which then fails with CANCELLED.
 * Servers and network must be known: after a report. */
uint32_t ph_engine_nat_lifetime (PhEngine *self, bool begin);

typedef enum { PH_SERVER_RENDEZVOUS, PH_SERVER_STUN, PH_SERVER_TURN } PhServerKind;

/* Tries one server, whether it is in the settings or not. `address`: as the setting has it. DONE: `text` is
 * a sentence with the time it took, or `error` says what is wrong and what to look at. */
uint32_t ph_engine_test_server (PhEngine *self, PhServerKind kind, const char *address);

/* Whether PH_EVENT_EXPLAIN is told. */
void ph_engine_set_explain (PhEngine *self, bool explain);
/* How connecting to `contact` goes: DONE has a JSON object in `text`: "state" (a word), "candidates" (of
 * both sides: "side", "kind", "transport", "address"), "pairs" ("local", "remote", "state", "rtt_ms",
 * "why"), "links" (as of TransferView's path) and "log" (the last lines, each "at_ms" before now and
 * "line"). What is not known is null or missing. */
uint32_t ph_engine_explain_contact (PhEngine *self, const char *contact);

/* --- Moving to another device ------------------------------------------------------------------- */

#define PH_ENGINE_PASSPHRASE_MIN 8u /* bytes */

/* Writes identity, name, settings and contacts to `path` (0600; what is there is replaced), encrypted
 * with `passphrase`. */
uint32_t ph_engine_export_identity (PhEngine *self, const char *path, const char *passphrase);
/* Makes this profile what an export holds. Fails with NOT_FRESH if there are contacts or transfers,
 * unless `replace`: they are lost then. After DONE without an error this engine is offline and serves
 * no more commands: free it, and make a new one. */
uint32_t
ph_engine_import_identity (PhEngine *self, const char *path, const char *passphrase, bool replace);

G_END_DECLS
