/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-link-check.h"

#include "app/model/ph-format.h"
#include "net/signal/ph-invitation.h"

#include <glib/gi18n.h>
#include <string.h>

static const char *
complaint (PhInvitationError error)
{
  switch (error) {
  case PH_INVITATION_NOT_A_LINK:
    return _ ("This is not an invitation: those begin with “porthole:”.");
  case PH_INVITATION_TRUNCATED:
    return _ ("The end of the link is missing: copy all of it.");
  case PH_INVITATION_UNKNOWN_VERSION:
    return _ ("This invitation was made by a newer Porthole: update this one.");
  case PH_INVITATION_BAD_CHECK:
  case PH_INVITATION_MALFORMED:
  case PH_INVITATION_OK:
  default:
    return _ ("The link is damaged: copy it again, or ask for a new one.");
  }
}

PhLinkState
ph_link_check (const char *text, const char *own_id, char **ret_message)
{
  g_autofree char *link = g_strstrip (g_strdup (text));
  PhInvitation invitation;
  PhInvitationError error;
  char inviter[PH_DEVICE_ID_STRING_MAX];
  g_autofree char *name = NULL;
  bool is_named;

  if (*link == '\0') {
    *ret_message = g_strdup ("");
    return PH_LINK_EMPTY;
  }
  error = ph_invitation_parse (link, &invitation);
  if (error != PH_INVITATION_OK) {
    *ret_message = g_strdup (complaint (error));
    return PH_LINK_BAD;
  }
  ph_device_id_format (&invitation.inviter, inviter);
  name = ph_format_name (invitation.name);
  is_named = *invitation.name != '\0';
  ph_invitation_wipe (&invitation);
  if (g_strcmp0 (inviter, own_id) == 0) {
    *ret_message =
        g_strdup (_ ("This is your own invitation: send it to the person whom you want to add."));
    return PH_LINK_BAD;
  }
  *ret_message = is_named ? /* Translators: %s is the name of a person or device. */
                     g_strdup_printf (_ ("An invitation by %s"), name)
                          : g_strdup ("");
  return PH_LINK_GOOD;
}
