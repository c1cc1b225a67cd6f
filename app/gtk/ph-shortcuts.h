/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialog that lists the keyboard shortcuts. */

#pragma once

#include <adwaita.h>

AdwDialog *ph_shortcuts_dialog_new (void);
