/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells a screen reader of offers and of transfers that ended, seldom enough to be listened to: what comes
 * while the last announcement is still spoken is summed up in the next one. */

#pragma once

#include "app/model/ph-client.h"

#include <gtk/gtk.h>

/* Speaks through `widget`, and ends with it. */
void ph_announcer_add (GtkWidget *widget, PhClient *client);
