/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes a widget take files for a person. The widget has the properties `contact` (a PhContactItem, may be
 * NULL: nothing is taken then) and `drop-message`: what a drop would do, set while something hangs over
 * it, NULL otherwise. */

#pragma once

#include "app/model/ph-client.h"

#include <gtk/gtk.h>

void ph_drop_zone_add (GtkWidget *widget, PhClient *client);
