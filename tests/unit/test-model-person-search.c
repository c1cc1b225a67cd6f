/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is found by what somebody types. */

#include "app/model/ph-person-search.h"
#include "tests/support/ph-test.h"

static void
test_words (void)
{
  static const struct {
    const char *name;
    const char *text;
    bool matches;
  } cases[] = {
      {"Desk", "desk", true},
      {"Desk", "DE", true},
      {"My Desk", "esk", true},
      {"Desk", "desks", false},
      {"José María", "jose", true},
      {"Jose Maria", "JOSÉ", true},
      {"José María", "mar jos", true},
      {"José María", "mar pedro", false},
      {"Jose\xcc\x81", "josé", true}, /* the accent a character of its own */
      {"Straße", "STRASSE", true},
      {"Søren Łukasz", "soeren", true},
      {"Søren Łukasz", "luk", true},
      {"王小明", "小明", true},
      {"Кухня", "кух", true},
      {"Desk", "", true},
      {"Desk", NULL, true},
      {"Desk", "  ", true},
      {"Desk", "!", false},
      {"Desk!", "!", true},
      {"", "a", false},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    if (ph_person_search_matches (cases[i].name, cases[i].text) != cases[i].matches)
      g_error ("“%s” in “%s”: not %d", cases[i].text, cases[i].name, cases[i].matches);
  }
}

static void
add (GListStore *people, const char *id, const char *name, bool blocked)
{
  const PhContactView view = {.id = id, .name = name, .blocked = blocked};
  g_autoptr (PhContactItem) item = ph_contact_item_new (&view);

  g_list_store_append (people, item);
}

static void
assert_found (GListStore *people, const char *const *words, const char *ids)
{
  g_auto (GStrv) found = ph_person_search (G_LIST_MODEL (people), words);
  g_autofree char *joined = g_strjoinv (" ", found);

  g_assert_cmpstr (joined, ==, ids);
}

static void
test_people (void)
{
  g_autoptr (GListStore) people = g_list_store_new (PH_TYPE_CONTACT_ITEM);

  add (people, "3", "Annette", false);
  add (people, "1", "Anna", false);
  add (people, "2", "Annabel", true);
  add (people, "4", "Bert", false);
  assert_found (people, (const char *const[]){"ann", NULL}, "1 3");
  assert_found (people, (const char *const[]){"ann", "ette", NULL}, "3");
  assert_found (people, (const char *const[]){"annabel", NULL}, "");
  assert_found (people, (const char *const[]){NULL}, "");
  assert_found (people, (const char *const[]){" ", "", NULL}, "");
}

static void
test_not_too_many (void)
{
  g_autoptr (GListStore) people = g_list_store_new (PH_TYPE_CONTACT_ITEM);
  const char *const words[] = {"same", NULL};
  g_auto (GStrv) found = NULL;

  for (unsigned i = 0; i < 2 * PH_PERSON_SEARCH_MAX; i++)
    add (people, "id", "The same", false);
  found = ph_person_search (G_LIST_MODEL (people), words);
  g_assert_cmpuint (g_strv_length (found), ==, PH_PERSON_SEARCH_MAX);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/model-person-search/words", test_words);
  g_test_add_func ("/model-person-search/people", test_people);
  g_test_add_func ("/model-person-search/not-too-many", test_not_too_many);
  return g_test_run ();
}
