/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-detail-list.h"

#include "app/model/ph-detail.h"

struct _PhDetailList {
  AdwBin parent_instance;

  GtkListBox *list;
};

G_DEFINE_FINAL_TYPE (PhDetailList, ph_detail_list, ADW_TYPE_BIN)

static GtkWidget *
make_row (gpointer item, gpointer user_data)
{
  GtkWidget *row =
      g_object_new (ADW_TYPE_ACTION_ROW, "use-markup", FALSE, "subtitle-selectable", TRUE, "title",
                    ph_detail_title (item), "subtitle", ph_detail_value (item), NULL);

  gtk_widget_add_css_class (row, "property");
  return row;
}

static void
ph_detail_list_class_init (PhDetailListClass *klass)
{
}

static void
ph_detail_list_init (PhDetailList *self)
{
  self->list = GTK_LIST_BOX (gtk_list_box_new ());
  gtk_list_box_set_selection_mode (self->list, GTK_SELECTION_NONE);
  gtk_widget_add_css_class (GTK_WIDGET (self->list), "boxed-list");
  adw_bin_set_child (ADW_BIN (self), GTK_WIDGET (self->list));
}

void
ph_detail_list_set_model (PhDetailList *self, GListModel *details)
{
  g_return_if_fail (PH_IS_DETAIL_LIST (self));

  gtk_list_box_bind_model (self->list, details, make_row, NULL, NULL);
}
