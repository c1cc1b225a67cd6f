/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long dialogs live, where the toolkit goes on with what it has freed.
 *
 * libadwaita 1.7 gives a dialog up in the middle of its own code: where animations are off, or end early because
 * the window is resized meanwhile, adw_floating_sheet_set_open () and the allocation of the dialog go on with what is freed
 * already. So every dialog that is closed lives until the stack that takes it out of its window has returned.
 *
 * The path bar of GTK 4.18's own file dialog (a portal has none) asks for the folders of a path one after the other; when
 * the dialog is closed meanwhile, gtk_path_bar_get_info_callback () takes the buttons it has out of a box that is freed.
 * So the last few path bars are kept: by then their answers are there, however slow the disk. */

#pragma once

/* For all dialogs of this process, from here on. */
void ph_dialog_life_begin (void);
