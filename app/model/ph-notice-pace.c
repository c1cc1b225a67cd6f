/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-notice-pace.h"

/* The last ones that interrupted; 0: none. */
typedef struct {
  gint64 until_us[PH_NOTICE_PACE_MAX];
} Recent;

struct _PhNoticePace {
  GHashTable *contacts; /* id -> Recent */
};

PhNoticePace *
ph_notice_pace_new (void)
{
  PhNoticePace *self = g_new0 (PhNoticePace, 1);

  self->contacts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
ph_notice_pace_free (PhNoticePace *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->contacts);
  g_free (self);
}

bool
ph_notice_pace_take (PhNoticePace *self, const char *contact, gint64 now_us)
{
  Recent *recent = g_hash_table_lookup (self->contacts, contact);

  if (recent == NULL) {
    recent = g_new0 (Recent, 1);
    g_hash_table_insert (self->contacts, g_strdup (contact), recent);
  }
  for (size_t i = 0; i < PH_NOTICE_PACE_MAX; i++) {
    if (recent->until_us[i] <= now_us) {
      recent->until_us[i] = now_us + PH_NOTICE_PACE_SPAN;
      return true;
    }
  }
  return false;
}
