/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The settings as properties that widgets bind to in both directions. Reading gives what is in force;
 * writing asks the engine, and the property follows when it agrees. A value that it refuses is told by
 * `refused`, and notified, so that what is bound shows again what is in force.
 *
 *   name, download-dir, rendezvous, stun, turn            strings
 *   speed-limit-up, speed-limit-down                      double, megabytes a second; 0 none
 *   queue-days                                            double, 0 for ever
 *   private-mode, auto-start, run-in-background, notifications, guess-ports, nearby, port-mapping
 *                                                         booleans
 *
 * Signal: refused (key, message) */

#pragma once

#include "app/model/ph-client.h"

#define PH_TYPE_SETTINGS (ph_settings_get_type ())
G_DECLARE_FINAL_TYPE (PhSettings, ph_settings, PH, SETTINGS, GObject)

PhSettings *ph_settings_new (PhClient *client);
