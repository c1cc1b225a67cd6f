/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One person: what was sent and received, what is under way, and the ways to send more.
 *
 * Properties: client, contact (NULL: nobody is chosen). Actions: the group `person`. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_PERSON_PAGE (ph_person_page_get_type ())
G_DECLARE_FINAL_TYPE (PhPersonPage, ph_person_page, PH, PERSON_PAGE, AdwNavigationPage)

void ph_person_page_set_contact (PhPersonPage *self, PhContactItem *contact);
PhContactItem *ph_person_page_get_contact (PhPersonPage *self);
