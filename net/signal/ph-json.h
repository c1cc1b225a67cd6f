/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON messages of the rendezvous protocol, on json-glib: typed access to what a stranger wrote.
 *
 * A message is one object with a string member "type". Getters say no to what is missing or of another
 * type; nothing a peer writes reaches json-glib's own assertions. Binary values are base64url. */

#pragma once

#include "net/base/ph-bytes.h"

#include <json-glib/json-glib.h>

/* Our messages nest three deep. Deeper ones are refused before they are parsed: parsers recurse. */
#define PH_JSON_DEPTH_MAX 8

/* NULL for anything that is no message. Free with json_object_unref(). */
JsonObject *ph_json_parse (PhSlice text, const char **ret_type);

/* NULL if it is not there or no string. Borrowed. */
const char *ph_json_string (JsonObject *object, const char *member);
/* Exactly `len` bytes. */
bool ph_json_bytes (JsonObject *object, const char *member, uint8_t *out, size_t len);
/* At most `cap` bytes. */
bool
ph_json_blob (JsonObject *object, const char *member, uint8_t *out, size_t cap, size_t *ret_len);
bool ph_json_u64 (JsonObject *object, const char *member, uint64_t max, uint64_t *ret_value);
bool ph_json_bool (JsonObject *object, const char *member, bool *ret_value);
/* NULL if it is not there or no array. Borrowed. */
JsonArray *ph_json_array (JsonObject *object, const char *member);
/* NULL if it is no object. Borrowed. */
JsonObject *ph_json_array_object (JsonArray *array, unsigned i);
/* NULL if it is no string. Borrowed. */
const char *ph_json_array_string (JsonArray *array, unsigned i);

/* A new message of this type. */
JsonObject *ph_json_message (const char *type);
void ph_json_set_bytes (JsonObject *object, const char *member, PhSlice bytes);
/* Takes the object; free the text with g_free(). */
char *ph_json_finish (JsonObject *object);
