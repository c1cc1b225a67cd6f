/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A QR code of a text, always dark on white with the quiet zone that scanners need, whatever the
 * style. Its modules are whole pixels of the screen. A screen reader needs a label: the text itself
 * tells nobody anything. */

#pragma once

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define PH_TYPE_QR_CODE (ph_qr_code_get_type ())
G_DECLARE_FINAL_TYPE (PhQrCode, ph_qr_code, PH, QR_CODE, GtkWidget)

/* "" shows nothing. So does a text too long for any QR code (over 2,900 bytes). */
void ph_qr_code_set_text (PhQrCode *self, const char *text);

G_END_DECLS
