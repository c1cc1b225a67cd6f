/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands and events as D-Bus values, between two processes of one person (ph-remote.h). Text travels as
 * bytes: a path need not be UTF-8. What a value of the right type says is not trusted: decoding fails where
 * a field is missing or of another type, and takes numbers as they are. */

#pragma once

#include "app/engine/ph-core.h"

/* (type, numbers, texts): "u(uutxtb)aayaay". */
#define PH_WIRE_COMMAND "(u(uutxtb)aayaay)"
/* (type, command, fields): "uuav". */
#define PH_WIRE_EVENT "(uuav)"

/* Floating. The command's number travels with it. */
GVariant *ph_wire_command (const PhCommand *command);
/* NULL: not one. To be freed with ph_command_free(). */
PhCommand *ph_wire_read_command (GVariant *value);

/* Floating. */
GVariant *ph_wire_event (const PhEvent *event);
/* Tells the event to `func`; what it points to lives as long as the call. False: not one. */
bool ph_wire_read_event (GVariant *value, PhEventFunc func, gpointer user_data);
