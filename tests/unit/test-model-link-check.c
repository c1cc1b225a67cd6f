/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the window says of a pasted link, before anybody is asked. */

#include "app/model/ph-link-check.h"
#include "net/signal/ph-invitation.h"
#include "tests/support/ph-test.h"

static char own_id[PH_DEVICE_ID_STRING_MAX];
static char other_id[PH_DEVICE_ID_STRING_MAX];
static char invitation_link[PH_INVITATION_LINK_MAX];

static void
make_link (const char *name)
{
  PhRandomSeeded state;
  const PhRandom random = ph_test_random (&state, name);
  PhIdentity own, other;
  PhRendezvousAddress address;
  PhInvitation invitation;

  ph_identity_generate (&own, &random);
  ph_identity_generate (&other, &random);
  ph_device_id_format (&own.id, own_id);
  ph_device_id_format (&other.id, other_id);
  g_assert_cmpint (ph_rendezvous_address_parse ("wss://meet.example.org/", &address), ==,
                   PH_RENDEZVOUS_ADDRESS_OK);
  ph_invitation_make (&invitation, &other.id, &address, name, &random);
  ph_invitation_format (&invitation, invitation_link);
}

static void
assert_check (const char *text, const char *id, PhLinkState wanted, const char *words)
{
  g_autofree char *message = NULL;

  g_assert_cmpint (ph_link_check (text, id, &message), ==, wanted);
  if (*words == '\0')
    g_assert_cmpstr (message, ==, "");
  else if (strstr (message, words) == NULL)
    g_error ("“%s” does not say “%s”", message, words);
}

static void
test_good (void)
{
  g_autofree char *mailed = NULL;

  make_link ("Desk");
  assert_check (invitation_link, own_id, PH_LINK_GOOD, "Desk");
  mailed = g_strdup_printf ("  %.40s\n%s \n", invitation_link, invitation_link + 40);
  assert_check (mailed, own_id, PH_LINK_GOOD, "Desk");
  make_link ("");
  assert_check (invitation_link, own_id, PH_LINK_GOOD, "");
}

static void
test_empty (void)
{
  assert_check ("", own_id, PH_LINK_EMPTY, "");
  assert_check (" \n", own_id, PH_LINK_EMPTY, "");
}

static void
test_bad (void)
{
  make_link ("Desk");
  assert_check (invitation_link, other_id, PH_LINK_BAD, "your own");
  assert_check ("https://example.org/", own_id, PH_LINK_BAD, "begin with");
  invitation_link[strlen (invitation_link) - 8] = '\0';
  assert_check (invitation_link, own_id, PH_LINK_BAD, "missing");
  make_link ("Desk");
  invitation_link[60] = invitation_link[60] == 'A' ? 'B' : 'A';
  assert_check (invitation_link, own_id, PH_LINK_BAD, "damaged");
}

/* A name that would reverse the sentence around it is made visible. */
static void
test_name_is_isolated (void)
{
  make_link ("\xe2\x80\xae"
             "ksed");
  assert_check (invitation_link, own_id, PH_LINK_GOOD, "\\u202e");
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/link-check/good", test_good);
  g_test_add_func ("/link-check/empty", test_empty);
  g_test_add_func ("/link-check/bad", test_bad);
  g_test_add_func ("/link-check/name-is-isolated", test_name_is_isolated);
  return g_test_run ();
}
