/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files that pasting made. ph_send_paste() is in ph-send.h. */

#pragma once

#include "app/model/ph-client.h"

/* Removes those that are not needed any more, once the client has loaded what is. */
void ph_paste_tidy (PhClient *client);
