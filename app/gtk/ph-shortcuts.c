/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libadwaita has a dialog for this from 1.8 on; before that, rows of our own. */

#include "app/gtk/ph-shortcuts.h"

#include <glib/gi18n.h>

typedef struct {
  const char *title;
  const char *accelerator;
} Shortcut;

static const struct {
  const char *title;
  const Shortcut shortcuts[9];
} sections[] = {
    {NC_ ("shortcuts", "People and Files"),
     {
         {NC_ ("shortcuts", "Add a person"), "<Control>n"},
         {NC_ ("shortcuts", "Send files"), "<Control>o"},
         {NC_ ("shortcuts", "Send a folder"), "<Control><Shift>o"},
         {NC_ ("shortcuts", "Paste to send"), "<Control>v"},
         {NC_ ("shortcuts", "Search"), "<Control>f"},
         {NC_ ("shortcuts", "Menu of a person or transfer"), "Menu"},
         {NULL, NULL},
     }},
    {NC_ ("shortcuts", "General"),
     {
         {NC_ ("shortcuts", "Main menu"), "F10"},
         {NC_ ("shortcuts", "Preferences"), "<Control>comma"},
         {NC_ ("shortcuts", "Keyboard shortcuts"), "<Control>question"},
         {NC_ ("shortcuts", "Close the window"), "<Control>w"},
         {NC_ ("shortcuts", "Quit"), "<Control>q"},
         {NULL, NULL},
     }},
};

#if ADW_CHECK_VERSION(1, 8, 0)

AdwDialog *
ph_shortcuts_dialog_new (void)
{
  AdwDialog *dialog = adw_shortcuts_dialog_new ();

  for (size_t i = 0; i < G_N_ELEMENTS (sections); i++) {
    AdwShortcutsSection *section =
        adw_shortcuts_section_new (g_dpgettext2 (NULL, "shortcuts", sections[i].title));

    for (const Shortcut *each = sections[i].shortcuts; each->title != NULL; each++)
      adw_shortcuts_section_add (
          section, adw_shortcuts_item_new (g_dpgettext2 (NULL, "shortcuts", each->title),
                                           each->accelerator));
    adw_shortcuts_dialog_add (ADW_SHORTCUTS_DIALOG (dialog), section);
  }
  return dialog;
}

#else

/* "Ctrl", "N": a cap each. A screen reader gets them with the row. */
static GtkWidget *
make_keys (const char *label)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  g_auto (GStrv) keys = g_strsplit (label, "+", -1);

  gtk_widget_set_valign (box, GTK_ALIGN_CENTER);
  /* As they are pressed, in every script. */
  gtk_widget_set_direction (box, GTK_TEXT_DIR_LTR);
  for (size_t i = 0; keys[i] != NULL; i++) {
    GtkWidget *key = gtk_label_new (keys[i]);

    gtk_widget_add_css_class (key, "shortcut-key");
    gtk_box_append (GTK_BOX (box), key);
  }
  return box;
}

static GtkWidget *
make_row (const Shortcut *shortcut)
{
  const char *title = g_dpgettext2 (NULL, "shortcuts", shortcut->title);
  GtkWidget *row = g_object_new (ADW_TYPE_ACTION_ROW, "title", title, "use-markup", FALSE, NULL);
  guint key;
  GdkModifierType modifiers;
  g_autofree char *label = NULL;

  gtk_accelerator_parse (shortcut->accelerator, &key, &modifiers);
  label = gtk_accelerator_get_label (key, modifiers);
  gtk_accessible_update_property (GTK_ACCESSIBLE (row), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, label,
                                  -1);
  adw_action_row_add_suffix (ADW_ACTION_ROW (row), make_keys (label));
  return row;
}

AdwDialog *
ph_shortcuts_dialog_new (void)
{
  AdwDialog *dialog = adw_dialog_new ();
  GtkWidget *view = adw_toolbar_view_new ();
  GtkWidget *page = adw_preferences_page_new ();

  for (size_t i = 0; i < G_N_ELEMENTS (sections); i++) {
    GtkWidget *group = adw_preferences_group_new ();

    adw_preferences_group_set_title (ADW_PREFERENCES_GROUP (group),
                                     g_dpgettext2 (NULL, "shortcuts", sections[i].title));
    for (const Shortcut *each = sections[i].shortcuts; each->title != NULL; each++)
      adw_preferences_group_add (ADW_PREFERENCES_GROUP (group), make_row (each));
    adw_preferences_page_add (ADW_PREFERENCES_PAGE (page), ADW_PREFERENCES_GROUP (group));
  }
  adw_toolbar_view_add_top_bar (ADW_TOOLBAR_VIEW (view), adw_header_bar_new ());
  adw_toolbar_view_set_content (ADW_TOOLBAR_VIEW (view), page);
  adw_dialog_set_title (dialog, _ ("Keyboard Shortcuts"));
  adw_dialog_set_content_width (dialog, 420);
  adw_dialog_set_child (dialog, view);
  return dialog;
}

#endif
