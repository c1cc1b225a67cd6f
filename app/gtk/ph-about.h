/* SPDX-License-Identifier: GPL-3.0-or-later */
/* About Porthole, with a report to copy into a problem's description. The report names no contact, file, key
 * or password. */

#pragma once

#include "app/model/ph-client.h"

#include <adwaita.h>

/* `client` NULL: the profile is not open. */
AdwDialog *ph_about_dialog_new (PhClient *client);
