/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-json.h"

#include "net/signal/ph-base64.h"

static bool
depth_is_sane (PhSlice text)
{
  unsigned depth = 0;
  bool in_string = false;

  for (size_t i = 0; i < text.len; i++) {
    const uint8_t c = text.data[i];

    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > PH_JSON_DEPTH_MAX)
        return false;
    } else if ((c == '}' || c == ']') && depth > 0) {
      depth--;
    }
  }
  return true;
}

JsonObject *
ph_json_parse (PhSlice text, const char **ret_type)
{
  if (text.len == 0 || text.data[0] != '{' || !depth_is_sane (text))
    return NULL;

  g_autoptr (JsonParser) parser = json_parser_new_immutable ();

#if JSON_CHECK_VERSION(1, 10, 0)
  json_parser_set_strict (parser, TRUE);
#endif
  if (!json_parser_load_from_data (parser, (const char *)text.data, (gssize)text.len, NULL))
    return NULL;

  JsonNode *root = json_parser_get_root (parser);

  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return NULL;

  JsonObject *object = json_node_get_object (root);
  const char *type = ph_json_string (object, "type");

  if (type == NULL)
    return NULL;
  *ret_type = type;
  return json_object_ref (object);
}

static JsonNode *
value_of_type (JsonObject *object, const char *member, GType type)
{
  JsonNode *node = json_object_get_member (object, member);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type
             ? node
             : NULL;
}

const char *
ph_json_string (JsonObject *object, const char *member)
{
  JsonNode *node = value_of_type (object, member, G_TYPE_STRING);

  return node != NULL ? json_node_get_string (node) : NULL;
}

bool
ph_json_bytes (JsonObject *object, const char *member, uint8_t *out, size_t len)
{
  const char *text = ph_json_string (object, member);

  return text != NULL && ph_base64_decode_exact (text, out, len);
}

bool
ph_json_blob (JsonObject *object, const char *member, uint8_t *out, size_t cap, size_t *ret_len)
{
  const char *text = ph_json_string (object, member);

  return text != NULL && ph_base64_decode (ph_slice_string (text), out, cap, ret_len);
}

bool
ph_json_u64 (JsonObject *object, const char *member, uint64_t max, uint64_t *ret_value)
{
  JsonNode *node = value_of_type (object, member, G_TYPE_INT64);

  if (node == NULL || json_node_get_int (node) < 0 || (uint64_t)json_node_get_int (node) > max)
    return false;
  *ret_value = (uint64_t)json_node_get_int (node);
  return true;
}

bool
ph_json_bool (JsonObject *object, const char *member, bool *ret_value)
{
  JsonNode *node = value_of_type (object, member, G_TYPE_BOOLEAN);

  if (node == NULL)
    return false;
  *ret_value = json_node_get_boolean (node);
  return true;
}

JsonArray *
ph_json_array (JsonObject *object, const char *member)
{
  JsonNode *node = json_object_get_member (object, member);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

JsonObject *
ph_json_array_object (JsonArray *array, unsigned i)
{
  JsonNode *node = json_array_get_element (array, i);

  return JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

const char *
ph_json_array_string (JsonArray *array, unsigned i)
{
  JsonNode *node = json_array_get_element (array, i);

  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

JsonObject *
ph_json_message (const char *type)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "type", type);
  return object;
}

void
ph_json_set_bytes (JsonObject *object, const char *member, PhSlice bytes)
{
  g_autofree char *text = ph_base64_dup (bytes);

  json_object_set_string_member (object, member, text);
}

char *
ph_json_finish (JsonObject *object)
{
  g_autoptr (JsonNode) node = json_node_alloc ();

  json_node_init_object (node, object);
  json_object_unref (object);
  return json_to_string (node, FALSE);
}
