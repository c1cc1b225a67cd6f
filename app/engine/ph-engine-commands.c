/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of ph-engine.h, put into words for the engine thread. */

#include "app/engine/ph-engine-private.h"

/* Borrowed strings: ph_engine_post() copies. */
static uint32_t
post (PhEngine *self, PhCommand command)
{
  return ph_engine_post (self, &command);
}

void
ph_engine_connect (PhEngine *self)
{
  post (self, (PhCommand){.type = PH_COMMAND_CONNECT});
}

uint32_t
ph_engine_invite (PhEngine *self, const char *name)
{
  return post (self, (PhCommand){.type = PH_COMMAND_INVITE, .text = (char *)name});
}

uint32_t
ph_engine_invite_again (PhEngine *self)
{
  return post (self, (PhCommand){.type = PH_COMMAND_INVITE, .flag = true});
}

uint32_t
ph_engine_withdraw (PhEngine *self, uint32_t invite)
{
  return post (self, (PhCommand){.type = PH_COMMAND_WITHDRAW, .amount = invite});
}

uint32_t
ph_engine_withdraw_link (PhEngine *self, const char *link)
{
  return post (self, (PhCommand){.type = PH_COMMAND_WITHDRAW, .subject = (char *)link});
}

uint32_t
ph_engine_list_invitations (PhEngine *self)
{
  return post (self, (PhCommand){.type = PH_COMMAND_LIST_INVITATIONS});
}

uint32_t
ph_engine_add (PhEngine *self, const char *link, const char *name)
{
  return post (self,
               (PhCommand){.type = PH_COMMAND_ADD, .subject = (char *)link, .text = (char *)name});
}

uint32_t
ph_engine_rename (PhEngine *self, const char *contact, const char *name)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_RENAME, .subject = (char *)contact, .text = (char *)name});
}

uint32_t
ph_engine_remove (PhEngine *self, const char *contact)
{
  return post (self, (PhCommand){.type = PH_COMMAND_REMOVE, .subject = (char *)contact});
}

uint32_t
ph_engine_block (PhEngine *self, const char *contact, bool blocked)
{
  return post (self,
               (PhCommand){.type = PH_COMMAND_BLOCK, .subject = (char *)contact, .flag = blocked});
}

uint32_t
ph_engine_set_auto_accept (PhEngine *self, const char *contact, bool auto_accept,
                           uint64_t max_bytes)
{
  return post (self, (PhCommand){.type = PH_COMMAND_AUTO_ACCEPT,
                                 .subject = (char *)contact,
                                 .flag = auto_accept,
                                 .bytes = max_bytes});
}

uint32_t
ph_engine_set_verified (PhEngine *self, const char *contact, bool verified)
{
  return post (
      self, (PhCommand){.type = PH_COMMAND_VERIFIED, .subject = (char *)contact, .flag = verified});
}

uint32_t
ph_engine_dismiss_alert (PhEngine *self, const char *contact)
{
  return post (self, (PhCommand){.type = PH_COMMAND_DISMISS_ALERT, .subject = (char *)contact});
}

uint32_t
ph_engine_send (PhEngine *self, const char *contact, const char *const *paths)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_SEND, .subject = (char *)contact, .paths = (char **)paths});
}

uint32_t
ph_engine_accept (PhEngine *self, const char *transfer, const char *folder)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_ACCEPT, .subject = (char *)transfer, .text = (char *)folder});
}

uint32_t
ph_engine_decline (PhEngine *self, const char *transfer)
{
  return post (self, (PhCommand){.type = PH_COMMAND_DECLINE, .subject = (char *)transfer});
}

uint32_t
ph_engine_cancel (PhEngine *self, const char *transfer)
{
  return post (self, (PhCommand){.type = PH_COMMAND_CANCEL, .subject = (char *)transfer});
}

uint32_t
ph_engine_pause (PhEngine *self, const char *transfer)
{
  return post (self, (PhCommand){.type = PH_COMMAND_PAUSE, .subject = (char *)transfer});
}

uint32_t
ph_engine_resume (PhEngine *self, const char *transfer)
{
  return post (self, (PhCommand){.type = PH_COMMAND_RESUME, .subject = (char *)transfer});
}

uint32_t
ph_engine_send_again (PhEngine *self, const char *transfer)
{
  return post (self, (PhCommand){.type = PH_COMMAND_SEND_AGAIN, .subject = (char *)transfer});
}

uint32_t
ph_engine_list_files (PhEngine *self, const char *transfer, uint32_t first, uint32_t limit)
{
  return post (self, (PhCommand){.type = PH_COMMAND_LIST_FILES,
                                 .subject = (char *)transfer,
                                 .first = first,
                                 .amount = MIN (limit, PH_ENGINE_FILES_MAX)});
}

uint32_t
ph_engine_load_history (PhEngine *self, const PhHistoryQuery *query)
{
  return post (self, (PhCommand){.type = PH_COMMAND_HISTORY,
                                 .subject = (char *)query->contact,
                                 .text = (char *)query->search,
                                 .flag = query->missed_only,
                                 .amount = query->limit,
                                 .at = query->before_at,
                                 .after = (char *)query->before_id});
}

uint32_t
ph_engine_forget (PhEngine *self, const char *transfer, const char *contact)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_FORGET, .subject = (char *)transfer, .text = (char *)contact});
}

uint32_t
ph_engine_get_setting (PhEngine *self, const char *key)
{
  return post (self, (PhCommand){.type = PH_COMMAND_GET_SETTING, .subject = (char *)key});
}

uint32_t
ph_engine_set_setting (PhEngine *self, const char *key, const char *value)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_SET_SETTING, .subject = (char *)key, .text = (char *)value});
}

uint32_t
ph_engine_network_report (PhEngine *self, uint32_t timeout_ms)
{
  return post (self, (PhCommand){.type = PH_COMMAND_NETWORK_REPORT, .amount = timeout_ms});
}

uint32_t
ph_engine_nat_lifetime (PhEngine *self, bool begin)
{
  return post (self, (PhCommand){.type = PH_COMMAND_NAT_LIFETIME, .flag = begin});
}

uint32_t
ph_engine_check_network (PhEngine *self, uint32_t timeout_ms)
{
  return post (self, (PhCommand){.type = PH_COMMAND_CHECK_NETWORK, .amount = timeout_ms});
}

uint32_t
ph_engine_test_server (PhEngine *self, PhServerKind kind, const char *address)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_TEST_SERVER, .subject = (char *)address, .amount = kind});
}

void
ph_engine_set_explain (PhEngine *self, bool explain)
{
  post (self, (PhCommand){.type = PH_COMMAND_EXPLAIN, .flag = explain});
}

uint32_t
ph_engine_explain_contact (PhEngine *self, const char *contact)
{
  return post (self, (PhCommand){.type = PH_COMMAND_EXPLAIN_CONTACT, .subject = (char *)contact});
}

uint32_t
ph_engine_export_identity (PhEngine *self, const char *path, const char *passphrase)
{
  return post (
      self,
      (PhCommand){.type = PH_COMMAND_EXPORT, .subject = (char *)path, .text = (char *)passphrase});
}

uint32_t
ph_engine_import_identity (PhEngine *self, const char *path, const char *passphrase, bool replace)
{
  return post (self, (PhCommand){.type = PH_COMMAND_IMPORT,
                                 .subject = (char *)path,
                                 .text = (char *)passphrase,
                                 .flag = replace});
}
