/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All people, to be searched, and to drop files on.
 *
 * Properties: client; selected (PhContactItem): whose page is shown; compact: large text on a narrow
 * screen, where some of the header goes to the bottom.
 * Signal: activated (PhContactItem): the person was clicked or Enter was pressed. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

#define PH_TYPE_PEOPLE_PAGE (ph_people_page_get_type ())
G_DECLARE_FINAL_TYPE (PhPeoplePage, ph_people_page, PH, PEOPLE_PAGE, AdwNavigationPage)

void ph_people_page_select (PhPeoplePage *self, PhContactItem *contact);
/* Opens the search, where there are people; `text` NULL: with what was looked for last. */
void ph_people_page_search (PhPeoplePage *self, const char *text);
