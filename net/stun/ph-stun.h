/* SPDX-License-Identifier: GPL-3.0-or-later */
/* STUN messages, RFC 8489: parsing, building, integrity.
 *
 * Parsing borrows: a PhStunMessage and every slice taken from it live as long as the bytes do.
 * ph_stun_parse() walks the whole message once; afterwards getters only find and decode. An attribute
 * after MESSAGE-INTEGRITY does not exist (§14.5), so no getter can return one that the integrity does
 * not cover. The first attribute of a type wins.
 *
 * Building writes into a PhWriter that holds nothing but this message; the length field is right after
 * every call. A writer that runs out of room is poisoned as usual: check ph_writer_ok() once.
 *
 * Followed: §5, §6.3, §9.1, §9.2 (keys only), §14. Left out: password algorithms, userhash, ALTERNATE-
 * SERVER, and RFC 3489 (no magic cookie: not STUN). */

#pragma once

#include "net/base/ph-addr.h"

#define PH_STUN_HEADER_LEN 20
#define PH_STUN_COOKIE 0x2112A442u
#define PH_STUN_ID_LEN 12
/* Room for any message of ours: under the 1280 bytes that every path carries. */
#define PH_STUN_MESSAGE_MAX 1200

typedef enum {
  PH_STUN_REQUEST = 0,
  PH_STUN_INDICATION = 1,
  PH_STUN_SUCCESS = 2,
  PH_STUN_ERROR = 3,
} PhStunClass;

typedef enum { PH_STUN_BINDING = 0x001 } PhStunMethod;

typedef enum {
  PH_STUN_MAPPED_ADDRESS = 0x0001,
  PH_STUN_CHANGE_REQUEST = 0x0003, /* RFC 5780 */
  PH_STUN_USERNAME = 0x0006,
  PH_STUN_MESSAGE_INTEGRITY = 0x0008,
  PH_STUN_ERROR_CODE = 0x0009,
  PH_STUN_UNKNOWN_ATTRIBUTES = 0x000A,
  PH_STUN_REALM = 0x0014,
  PH_STUN_NONCE = 0x0015,
  PH_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001C,
  PH_STUN_XOR_MAPPED_ADDRESS = 0x0020,
  PH_STUN_PRIORITY = 0x0024, /* RFC 8445 */
  PH_STUN_USE_CANDIDATE = 0x0025, /* RFC 8445 */
  PH_STUN_RESPONSE_PORT = 0x0027, /* RFC 5780 */
  PH_STUN_SOFTWARE = 0x8022,
  PH_STUN_FINGERPRINT = 0x8028,
  PH_STUN_ICE_CONTROLLED = 0x8029, /* RFC 8445 */
  PH_STUN_ICE_CONTROLLING = 0x802A, /* RFC 8445 */
  PH_STUN_RESPONSE_ORIGIN = 0x802B, /* RFC 5780 */
  PH_STUN_OTHER_ADDRESS = 0x802C, /* RFC 5780 */
  PH_STUN_NOMINATION = 0xC001, /* draft-thatcher-ice-renomination, as libwebrtc numbers it */
  PH_STUN_NOMINATION_GONE = 0xC072, /* Porthole's own, see docs/protocol.md */
  PH_STUN_NOMINATION_LEAVING = 0xC073, /* likewise */
} PhStunAttrType;

/* Bits of CHANGE-REQUEST, RFC 5780 §7.2. */
#define PH_STUN_CHANGE_IP 0x4u
#define PH_STUN_CHANGE_PORT 0x2u

typedef struct {
  uint8_t bytes[PH_STUN_ID_LEN];
} PhStunId;

typedef struct {
  PhStunClass klass;
  uint16_t method;
  PhStunId id;
  PhSlice bytes; /* the whole message */
  PhSlice attrs; /* the attributes before any integrity or fingerprint */
  /* Offsets of these attributes in `bytes`; 0: not there. */
  size_t integrity_at;
  size_t integrity_sha256_at;
  size_t fingerprint_at;
} PhStunMessage;

typedef struct {
  uint16_t type;
  PhSlice value;
} PhStunAttr;

typedef enum { PH_STUN_PARSE_OK, PH_STUN_PARSE_END, PH_STUN_PARSE_MALFORMED } PhStunParse;

/* --- Parsing ---------------------------------------------------------------------------------- */

/* Whether these bytes claim to be one STUN message: first byte 0 to 3, magic cookie, and a length
 * that is the datagram's. Cheap: for telling STUN from QUIC on one socket. */
bool ph_stun_is_stun (PhSlice bytes);
/* False if the bytes are not exactly one well-formed message, or if its FINGERPRINT is wrong. */
bool ph_stun_parse (PhSlice bytes, PhStunMessage *ret_message);
/* Walks attributes, as in `ph_reader (message.attrs)`. */
PhStunParse ph_stun_attr_next (PhReader *r, PhStunAttr *ret_attr);

/* Each returns false, and leaves `ret_` alone, if the attribute is missing or has a wrong form. */
bool ph_stun_find (const PhStunMessage *message, uint16_t type, PhSlice *ret_value);
bool ph_stun_get_u32 (const PhStunMessage *message, uint16_t type, uint32_t *ret_value);
bool ph_stun_get_u64 (const PhStunMessage *message, uint16_t type, uint64_t *ret_value);
bool ph_stun_get_addr (const PhStunMessage *message, uint16_t type, PhAddr *ret_addr);
bool ph_stun_get_xor_addr (const PhStunMessage *message, uint16_t type, PhAddr *ret_addr);
/* XOR-MAPPED-ADDRESS, or from an old server MAPPED-ADDRESS. */
bool ph_stun_get_mapped (const PhStunMessage *message, PhAddr *ret_addr);
/* 300 to 699. */
bool ph_stun_get_error (const PhStunMessage *message, unsigned *ret_code, PhSlice *ret_reason);
static inline bool
ph_stun_has (const PhStunMessage *message, uint16_t type)
{
  PhSlice value;
  return ph_stun_find (message, type, &value);
}

/* The comprehension-required attributes that are neither of the codec's own (integrity, fingerprint)
 * nor in `known`: how many there are (at most `max` are stored). */
size_t ph_stun_unknown (const PhStunMessage *message, const uint16_t *known, size_t n_known,
                        uint16_t *out, size_t max);

/* Whether an integrity attribute is there and right for `key`: the SHA-256 one if it is there, else
 * the SHA-1 one. Compared in constant time. */
bool ph_stun_check_integrity (const PhStunMessage *message, PhSlice key);

bool ph_stun_id_equal (const PhStunId *a, const PhStunId *b);

/* --- Building --------------------------------------------------------------------------------- */

/* `w` must be empty. */
void ph_stun_begin (PhWriter *w, PhStunClass klass, uint16_t method, const PhStunId *id);
void ph_stun_put (PhWriter *w, uint16_t type, PhSlice value);
void ph_stun_put_flag (PhWriter *w, uint16_t type);
void ph_stun_put_u32 (PhWriter *w, uint16_t type, uint32_t value);
void ph_stun_put_u64 (PhWriter *w, uint16_t type, uint64_t value);
void ph_stun_put_addr (PhWriter *w, uint16_t type, const PhAddr *addr);
void ph_stun_put_xor_addr (PhWriter *w, uint16_t type, const PhAddr *addr);
/* `code` 300 to 699; `reason` a short ASCII text. */
void ph_stun_put_error (PhWriter *w, unsigned code, const char *reason);
void ph_stun_put_unknown (PhWriter *w, const uint16_t *types, size_t n_types);
/* In this order, at the end. */
void ph_stun_put_integrity (PhWriter *w, PhSlice key);
void ph_stun_put_integrity_sha256 (PhWriter *w, PhSlice key);
void ph_stun_put_fingerprint (PhWriter *w);

/* --- Keys ------------------------------------------------------------------------------------- */

/* Short-term: the key is the password itself. Long-term (§9.2.2): MD5 of "user:realm:password", all
 * three after OpaqueString. */
void ph_stun_long_term_key (PhSlice username, PhSlice realm, PhSlice password, uint8_t out[16]);
