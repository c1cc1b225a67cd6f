/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-engine-wire.h"

/* --- Fields of events --------------------------------------------------------------------------- */

typedef enum { TEXT, TEXTS, BOOL, INT32, UINT32, INT64, UINT64 } Kind;

typedef struct {
  size_t offset; /* in PhEvent */
  Kind kind;
} Field;

#define FIELD(name, kind) {offsetof (PhEvent, name), kind}

/* Enumerations are 32 bits wide here. */
G_STATIC_ASSERT (sizeof (PhStatus) == 4 && sizeof (PhDirection) == 4);
G_STATIC_ASSERT (sizeof (PhTransferState) == 4 && sizeof (PhFileState) == 4);

static const Field text_fields[] = {FIELD (text, TEXT)};
static const Field status_fields[] = {
    FIELD (status.status, UINT32),
    FIELD (status.rendezvous, TEXT),
    FIELD (status.reason, TEXT),
    FIELD (status.retry_ms, UINT32),
};
static const Field contact_fields[] = {
    FIELD (text, TEXT),
    FIELD (contact.id, TEXT),
    FIELD (contact.name, TEXT),
    FIELD (contact.online, BOOL),
    FIELD (contact.blocked, BOOL),
    FIELD (contact.auto_accept, BOOL),
    FIELD (contact.auto_accept_max, UINT64),
    FIELD (contact.verified, BOOL),
    FIELD (contact.alert, BOOL),
    FIELD (contact.added_at, INT64),
    FIELD (contact.last_seen, INT64),
};
static const Field transfer_fields[] = {
    FIELD (transfer.id, TEXT),
    FIELD (transfer.contact, TEXT),
    FIELD (transfer.contact_name, TEXT),
    FIELD (transfer.direction, UINT32),
    FIELD (transfer.state, UINT32),
    FIELD (transfer.names, TEXTS),
    FIELD (transfer.files, UINT32),
    FIELD (transfer.bytes_total, UINT64),
    FIELD (transfer.bytes_done, UINT64),
    FIELD (transfer.rate, UINT64),
    FIELD (transfer.created_at, INT64),
    FIELD (transfer.finished_at, INT64),
    FIELD (transfer.duration_ms, UINT32),
    FIELD (transfer.first_byte_ms, INT32),
    FIELD (transfer.folder, TEXT),
    FIELD (transfer.paused_here, BOOL),
    FIELD (transfer.missed, BOOL),
    FIELD (transfer.can_send_again, BOOL),
    FIELD (transfer.expires_at, INT64),
    FIELD (transfer.path, TEXT),
    FIELD (transfer.best_path, TEXT),
    FIELD (transfer.transport, TEXT),
    FIELD (transfer.local_kind, TEXT),
    FIELD (transfer.remote_kind, TEXT),
    FIELD (transfer.local_addr, TEXT),
    FIELD (transfer.remote_addr, TEXT),
    FIELD (transfer.rtt_ms, UINT32),
    FIELD (transfer.direct_ms, INT32),
    FIELD (transfer.code, TEXT),
    FIELD (transfer.message, TEXT),
    FIELD (transfer.retry_ms, UINT32),
};
static const Field forgotten_fields[] = {FIELD (transfer.id, TEXT), FIELD (contact.id, TEXT)};
static const Field setting_fields[] = {
    FIELD (setting.key, TEXT),
    FIELD (setting.value, TEXT),
    FIELD (setting.is_set, BOOL),
};
static const Field file_fields[] = {
    FIELD (file.index, UINT32), FIELD (file.path, TEXT),   FIELD (file.sent_as, TEXT),
    FIELD (file.folder, BOOL),  FIELD (file.size, UINT64), FIELD (file.sha256, TEXT),
    FIELD (file.state, UINT32),
};

/* The longest list. */
#define FIELDS_MAX G_N_ELEMENTS (transfer_fields)

static const Field *
fields_of (PhEventType type, size_t *ret_n)
{
#define RETURN(fields)                                                                             \
  G_STMT_START                                                                                     \
  {                                                                                                \
    *ret_n = G_N_ELEMENTS (fields);                                                                \
    return fields;                                                                                 \
  }                                                                                                \
  G_STMT_END

  switch (type) {
  case PH_EVENT_STATUS:
    RETURN (status_fields);
  case PH_EVENT_CONTACT:
  case PH_EVENT_CONTACT_REMOVED:
  case PH_EVENT_ALERT:
    RETURN (contact_fields);
  case PH_EVENT_TRANSFER:
  case PH_EVENT_HISTORY:
    RETURN (transfer_fields);
  case PH_EVENT_FORGOTTEN:
    RETURN (forgotten_fields);
  case PH_EVENT_SETTING:
    RETURN (setting_fields);
  case PH_EVENT_FILE:
    RETURN (file_fields);
  case PH_EVENT_LOADED:
  case PH_EVENT_INVITATION:
  case PH_EVENT_EXPLAIN:
  case PH_EVENT_NETWORK:
  case PH_EVENT_GONE:
  case PH_EVENT_DONE:
    RETURN (text_fields);
  }
  return NULL;
#undef RETURN
}

static GVariant *
bytes (const char *text)
{
  return g_variant_new_bytestring (text != NULL ? text : "");
}

static GVariant *
field_value (const PhEvent *event, const Field *field)
{
  const void *at = (const char *)event + field->offset;

  switch (field->kind) {
  case TEXT:
    return bytes (*(const char *const *)at);
  case TEXTS: {
    const char *const *texts = *(const char *const *const *)at;

    return g_variant_new_bytestring_array (texts, texts != NULL ? -1 : 0);
  }
  case BOOL:
    return g_variant_new_boolean (*(const bool *)at);
  case INT32:
    return g_variant_new_int32 (*(const int32_t *)at);
  case UINT32:
    return g_variant_new_uint32 (*(const uint32_t *)at);
  case INT64:
    return g_variant_new_int64 (*(const int64_t *)at);
  case UINT64:
    return g_variant_new_uint64 (*(const uint64_t *)at);
  }
  g_assert_not_reached ();
}

GVariant *
ph_wire_event (const PhEvent *event)
{
  GVariantBuilder builder;
  size_t n;
  const Field *fields = fields_of (event->type, &n);

  g_assert (fields != NULL);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  for (size_t i = 0; i < n; i++)
    g_variant_builder_add (&builder, "v", field_value (event, &fields[i]));
  if (event->error != NULL) {
    g_variant_builder_add (&builder, "v", g_variant_new_int32 (event->error->code));
    g_variant_builder_add (&builder, "v", bytes (event->error->message));
  }
  return g_variant_new ("(uuav)", (uint32_t)event->type, event->command, &builder);
}

/* Sets a field from a value of its type. `keep` owns what is not in the value itself. */
static bool
read_field (PhEvent *event, const Field *field, GVariant *value, GPtrArray *keep)
{
  static const char *const types[] = {
      [TEXT] = "ay",  [TEXTS] = "aay", [BOOL] = "b",   [INT32] = "i",
      [UINT32] = "u", [INT64] = "x",   [UINT64] = "t",
  };
  void *at = (char *)event + field->offset;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (types[field->kind])))
    return false;
  switch (field->kind) {
  case TEXT:
    *(const char **)at = g_variant_get_bytestring (value);
    break;
  case TEXTS: {
    char **texts = g_variant_dup_bytestring_array (value, NULL);

    g_ptr_array_add (keep, texts);
    *(char ***)at = texts;
    break;
  }
  case BOOL:
    *(bool *)at = g_variant_get_boolean (value);
    break;
  case INT32:
    *(int32_t *)at = g_variant_get_int32 (value);
    break;
  case UINT32:
    *(uint32_t *)at = g_variant_get_uint32 (value);
    break;
  case INT64:
    *(int64_t *)at = g_variant_get_int64 (value);
    break;
  case UINT64:
    *(uint64_t *)at = g_variant_get_uint64 (value);
    break;
  }
  return true;
}

static bool
read_error (GVariant *code, GVariant *message, GError **ret_error)
{
  const char *text;

  if (!g_variant_is_of_type (code, G_VARIANT_TYPE_INT32)
      || !g_variant_is_of_type (message, G_VARIANT_TYPE_BYTESTRING))
    return false;
  text = g_variant_get_bytestring (message);
  *ret_error = g_error_new_literal (PH_ENGINE_ERROR, g_variant_get_int32 (code), text);
  return true;
}

bool
ph_wire_read_event (GVariant *value, PhEventFunc func, gpointer user_data)
{
  g_autoptr (GVariant) list = NULL;
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func ((GDestroyNotify)g_variant_unref);
  g_autoptr (GPtrArray) keep = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  g_autoptr (GError) error = NULL;
  PhEvent event = {0};
  const Field *fields;
  uint32_t type;
  size_t n;
  bool ok;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (PH_WIRE_EVENT)))
    return false;
  g_variant_get (value, "(uu@av)", &type, &event.command, &list);
  event.type = (PhEventType)type;
  fields = fields_of (event.type, &n);
  ok = fields != NULL && (g_variant_n_children (list) == n || g_variant_n_children (list) == n + 2);
  for (gsize i = 0; ok && i < g_variant_n_children (list); i++) {
    GVariant *boxed = g_variant_get_child_value (list, i);

    g_ptr_array_add (values, g_variant_get_variant (boxed));
    g_variant_unref (boxed);
  }
  for (size_t i = 0; ok && i < n; i++)
    ok = read_field (&event, &fields[i], values->pdata[i], keep);
  if (ok && values->len == n + 2)
    ok = read_error (values->pdata[n], values->pdata[n + 1], &error);
  if (!ok)
    return false;
  event.error = error;
  func (&event, user_data);
  return true;
}

/* --- Commands ----------------------------------------------------------------------------------- */

/* Which of the three texts there are; a NULL is not "". */
#define HAS_SUBJECT 1u
#define HAS_TEXT 2u
#define HAS_AFTER 4u
#define HAS_PATHS 8u

GVariant *
ph_wire_command (const PhCommand *command)
{
  GVariantBuilder texts;
  const char *const each[] = {command->subject, command->text, command->after};
  uint32_t has = command->paths != NULL ? HAS_PATHS : 0;

  g_variant_builder_init (&texts, G_VARIANT_TYPE ("aay"));
  for (unsigned i = 0; i < G_N_ELEMENTS (each); i++) {
    has |= each[i] != NULL ? 1u << i : 0;
    g_variant_builder_add_value (&texts, bytes (each[i]));
  }
  return g_variant_new ("(u(uutxtb)aay@aay)", (uint32_t)command->type | has << 16, command->number,
                        command->amount, (guint64)command->first, (gint64)command->at,
                        (guint64)command->bytes, (gboolean)command->flag, &texts,
                        g_variant_new_bytestring_array ((const char *const *)command->paths,
                                                        command->paths != NULL ? -1 : 0));
}

PhCommand *
ph_wire_read_command (GVariant *value)
{
  g_autoptr (PhCommand) command = g_new0 (PhCommand, 1);
  g_autoptr (GVariant) texts = NULL, paths = NULL;
  g_auto (GStrv) each = NULL;
  uint32_t type, has;
  guint64 first, bytes_max;
  gint64 at;
  gboolean flag;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (PH_WIRE_COMMAND)))
    return NULL;
  g_variant_get (value, "(u(uutxtb)@aay@aay)", &type, &command->number, &command->amount, &first,
                 &at, &bytes_max, &flag, &texts, &paths);
  each = g_variant_dup_bytestring_array (texts, NULL);
  has = type >> 16;
  if (g_strv_length (each) != 3 || command->number == 0 || first > UINT32_MAX)
    return NULL;
  command->type = (PhCommandType)(type & 0xffff);
  command->first = (uint32_t)first;
  command->at = at;
  command->bytes = bytes_max;
  command->flag = flag;
  command->subject = has & HAS_SUBJECT ? g_strdup (each[0]) : NULL;
  command->text = has & HAS_TEXT ? g_strdup (each[1]) : NULL;
  command->after = has & HAS_AFTER ? g_strdup (each[2]) : NULL;
  command->paths = has & HAS_PATHS ? g_variant_dup_bytestring_array (paths, NULL) : NULL;
  return g_steal_pointer (&command);
}
