/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-invite.h"

struct _PhInvite {
  GObject parent_instance;

  PhClient *client; /* borrowed: it owns this */
  GListStore *others;
  GCancellable *cancellable; /* of the invitation that is open */
  char *link;
  char *contact;
  char *message;
  PhInviteState state;
};

enum { PROP_0, PROP_STATE, PROP_LINK, PROP_CONTACT, PROP_MESSAGE, PROP_OTHERS, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhInvite, ph_invite, G_TYPE_OBJECT)
G_DEFINE_ENUM_TYPE (PhInviteState, ph_invite_state, G_DEFINE_ENUM_VALUE (PH_INVITE_NONE, "none"),
                    G_DEFINE_ENUM_VALUE (PH_INVITE_PREPARING, "preparing"),
                    G_DEFINE_ENUM_VALUE (PH_INVITE_WAITING, "waiting"),
                    G_DEFINE_ENUM_VALUE (PH_INVITE_USED, "used"),
                    G_DEFINE_ENUM_VALUE (PH_INVITE_WITHDRAWN, "withdrawn"),
                    G_DEFINE_ENUM_VALUE (PH_INVITE_FAILED, "failed"))

static void
set_text (PhInvite *self, char **text, const char *value, guint id)
{
  if (g_set_str (text, value))
    g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

static void
enter (PhInvite *self, PhInviteState state)
{
  if (self->state == state)
    return;
  self->state = state;
  if (state != PH_INVITE_WAITING)
    set_text (self, &self->link, "", PROP_LINK);
  if (state != PH_INVITE_PREPARING && state != PH_INVITE_WAITING)
    g_clear_object (&self->cancellable);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATE]);
}

/* --- The others ---------------------------------------------------------------------------------- */

static void
others_listed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhInvite) self = user_data;
  g_autofree char *json = ph_client_finish (PH_CLIENT (source), result, NULL);
  g_autoptr (GPtrArray) found = NULL;

  if (json == NULL)
    return;
  found = ph_open_invites_read (json, self->link, g_get_real_time () / G_USEC_PER_SEC);
  g_list_store_splice (self->others, 0, g_list_model_get_n_items (G_LIST_MODEL (self->others)),
                       found->pdata, found->len);
}

static void
list_others (PhInvite *self)
{
  ph_client_list_invitations_async (self->client, others_listed, g_object_ref (self));
}

/* Whoever was added may have used one of them. */
static void
contacts_changed (PhInvite *self)
{
  if (self->state == PH_INVITE_WAITING)
    list_others (self);
}

static void
other_withdrawn (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhInvite) self = user_data;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, NULL);

  if (text != NULL)
    list_others (self);
}

void
ph_invite_withdraw_other (PhInvite *self, PhOpenInvite *other)
{
  ph_client_withdraw_async (self->client, ph_open_invite_get_link (other), other_withdrawn,
                            g_object_ref (self));
}

/* --- The command --------------------------------------------------------------------------------- */

/* Answers to an invitation that was left behind are not for the one that is open. */
typedef struct {
  GWeakRef invite;
  GCancellable *cancellable;
} Call;

static PhInvite *
call_invite (Call *call)
{
  g_autoptr (PhInvite) self = g_weak_ref_get (&call->invite);

  return self != NULL && self->cancellable == call->cancellable ? g_steal_pointer (&self) : NULL;
}

static void
got_link (PhClient *client, const char *link, gpointer user_data)
{
  g_autoptr (PhInvite) self = call_invite (user_data);

  if (self == NULL)
    return;
  set_text (self, &self->link, link, PROP_LINK);
  enter (self, PH_INVITE_WAITING);
  list_others (self);
}

static void
invited (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Call *call = user_data;
  g_autoptr (PhInvite) self = call_invite (call);
  g_autoptr (GError) error = NULL;
  g_autofree char *contact = ph_client_finish (PH_CLIENT (source), result, &error);

  g_weak_ref_clear (&call->invite);
  g_object_unref (call->cancellable);
  g_free (call);
  if (self == NULL)
    return;
  set_text (self, &self->contact, contact != NULL ? contact : "", PROP_CONTACT);
  set_text (self, &self->message, error != NULL ? error->message : "", PROP_MESSAGE);
  enter (self, error == NULL ? PH_INVITE_USED : PH_INVITE_FAILED);
}

void
ph_invite_begin (PhInvite *self, bool fresh)
{
  Call *call;

  if (self->cancellable != NULL)
    return;
  self->cancellable = g_cancellable_new ();
  call = g_new0 (Call, 1);
  g_weak_ref_init (&call->invite, self);
  call->cancellable = g_object_ref (self->cancellable);
  set_text (self, &self->message, "", PROP_MESSAGE);
  set_text (self, &self->contact, "", PROP_CONTACT);
  enter (self, PH_INVITE_PREPARING);
  ph_client_invite_async (self->client, fresh, self->cancellable, got_link, invited, call);
}

void
ph_invite_withdraw (PhInvite *self)
{
  g_autoptr (GCancellable) cancellable = g_steal_pointer (&self->cancellable);

  if (cancellable == NULL)
    return;
  enter (self, PH_INVITE_WITHDRAWN);
  g_cancellable_cancel (cancellable);
}

void
ph_invite_enter (PhInvite *self)
{
  if (self->cancellable == NULL)
    enter (self, PH_INVITE_NONE);
  contacts_changed (self);
}

void
ph_invite_leave (PhInvite *self)
{
  if (self->state == PH_INVITE_PREPARING)
    ph_invite_withdraw (self);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_invite_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhInvite *self = PH_INVITE (object);

  switch (id) {
  case PROP_STATE:
    g_value_set_enum (value, (int)self->state);
    break;
  case PROP_LINK:
    g_value_set_string (value, self->link);
    break;
  case PROP_CONTACT:
    g_value_set_string (value, self->contact);
    break;
  case PROP_MESSAGE:
    g_value_set_string (value, self->message);
    break;
  case PROP_OTHERS:
    g_value_set_object (value, self->others);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_invite_finalize (GObject *object)
{
  PhInvite *self = PH_INVITE (object);

  g_clear_object (&self->cancellable);
  g_object_unref (self->others);
  g_free (self->link);
  g_free (self->contact);
  g_free (self->message);
  G_OBJECT_CLASS (ph_invite_parent_class)->finalize (object);
}

static void
ph_invite_class_init (PhInviteClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->get_property = ph_invite_get_property;
  object_class->finalize = ph_invite_finalize;
  properties[PROP_STATE] =
      g_param_spec_enum ("state", NULL, NULL, PH_TYPE_INVITE_STATE, PH_INVITE_NONE, flags);
  properties[PROP_LINK] = g_param_spec_string ("link", NULL, NULL, "", flags);
  properties[PROP_CONTACT] = g_param_spec_string ("contact", NULL, NULL, "", flags);
  properties[PROP_MESSAGE] = g_param_spec_string ("message", NULL, NULL, "", flags);
  properties[PROP_OTHERS] = g_param_spec_object ("others", NULL, NULL, G_TYPE_LIST_MODEL, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_invite_init (PhInvite *self)
{
  self->link = g_strdup ("");
  self->contact = g_strdup ("");
  self->message = g_strdup ("");
  self->others = g_list_store_new (PH_TYPE_OPEN_INVITE);
}

PhInvite *
ph_invite_of (PhClient *client)
{
  PhInvite *self = g_object_get_data (G_OBJECT (client), "ph-invite");

  if (self == NULL) {
    self = g_object_new (PH_TYPE_INVITE, NULL);
    self->client = client;
    g_signal_connect_object (ph_client_get_contacts (client), "items-changed",
                             G_CALLBACK (contacts_changed), self, G_CONNECT_SWAPPED);
    g_object_set_data_full (G_OBJECT (client), "ph-invite", self, g_object_unref);
  }
  return self;
}

PhInviteState
ph_invite_get_state (PhInvite *self)
{
  return self->state;
}

const char *
ph_invite_get_link (PhInvite *self)
{
  return self->link;
}

const char *
ph_invite_get_contact (PhInvite *self)
{
  return self->contact;
}
