/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a rendezvous server is, as people copy it around:
 *
 *   wss://meet.example.org/            checked against the system's certificate authorities
 *   wss://192.0.2.1:8443/#pin=...      checked against the pin alone, and no authority
 *   ws://192.168.1.5:8080/             not encrypted: signals are sealed all the same, who talks to
 *                                      whom is not hidden
 *
 * The pin is SHA-256 of the server key's SubjectPublicKeyInfo, base64url without padding. */

#pragma once

#include "net/base/ph-bytes.h"

/* Longest address without its pin, NUL included; a DNS name has at most 253 characters. */
#define PH_RENDEZVOUS_URL_MAX 288
#define PH_RENDEZVOUS_PIN_LEN 32
#define PH_RENDEZVOUS_ADDRESS_STRING_MAX (PH_RENDEZVOUS_URL_MAX + 56)

typedef struct {
  char url[PH_RENDEZVOUS_URL_MAX]; /* canonical: lower case, no pin, ends in "/" */
  char origin[PH_RENDEZVOUS_URL_MAX]; /* scheme, host and explicit port: "wss://example.org:443" */
  bool tls;
  bool has_pin;
  uint8_t pin[PH_RENDEZVOUS_PIN_LEN];
} PhRendezvousAddress;

typedef enum {
  PH_RENDEZVOUS_ADDRESS_OK,
  PH_RENDEZVOUS_ADDRESS_BAD_SCHEME, /* neither ws:// nor wss:// */
  PH_RENDEZVOUS_ADDRESS_BAD_HOST, /* host or port */
  PH_RENDEZVOUS_ADDRESS_BAD_PATH, /* a user, query or path other than "/" */
  PH_RENDEZVOUS_ADDRESS_BAD_PIN, /* not a pin, or one on ws:// */
} PhRendezvousAddressError;

PhRendezvousAddressError
ph_rendezvous_address_parse (const char *text, PhRendezvousAddress *ret_address);
/* With the pin, if there is one. */
const char *ph_rendezvous_address_format (const PhRendezvousAddress *address,
                                          char out[PH_RENDEZVOUS_ADDRESS_STRING_MAX]);
bool ph_rendezvous_address_equal (const PhRendezvousAddress *a, const PhRendezvousAddress *b);
