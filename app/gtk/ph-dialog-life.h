/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long dialogs live.
 *
 * libadwaita 1.7 gives a dialog up in the middle of its own code: where animations are off, or end early because
 * the window is resized meanwhile, adw_floating_sheet_set_open () and the allocation of the dialog go on with what is freed
 * already. So every dialog that is closed lives until the stack that takes it out of its window has returned. */

#pragma once

/* For all dialogs of this process, from here on. */
void ph_dialog_life_begin (void);
