/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The framing of streams on a TLS connection (docs/protocol.md): what QUIC brings along and TLS does not.
 *
 * A frame is a header of 8 bytes (type, flags, length, stream) and `length` bytes. Streams have one direction
 * and are numbered by the side that opens (and writes) them, 0, 1, 2 ...: HELLO, DATA and RESET speak of
 * the sender's streams, STOP and CREDIT of the receiver's. */

#pragma once

#include "net/base/ph-bytes.h"

typedef enum {
  PH_TLS_FRAME_HELLO = 1, /* first, once: what this side takes */
  PH_TLS_FRAME_DATA, /* opens `stream` if it is the next one */
  PH_TLS_FRAME_RESET, /* the writer gives `stream` up: `code` */
  PH_TLS_FRAME_STOP, /* the reader does: `code` */
  PH_TLS_FRAME_CREDIT, /* `arrived` of `stream`, which may go to `limit` */
  PH_TLS_FRAME_LINK_CREDIT, /* all streams together may go to `limit` */
  PH_TLS_FRAME_STREAMS, /* `limit` streams may be opened in all */
  PH_TLS_FRAME_PING, /* `token` */
  PH_TLS_FRAME_PONG, /* the same token */
  PH_TLS_FRAME_CLOSE, /* last: `kind`, `code`, `reason` */
} PhTlsFrameType;

typedef enum {
  PH_TLS_CLOSE_APPLICATION,
  PH_TLS_CLOSE_PROTOCOL,
  PH_TLS_N_CLOSES,
} PhTlsCloseKind;

#define PH_TLS_FRAME_HEADER_LEN 8
/* With its header and the overhead of the four records that it takes it fits one frame of RFC 4571. */
#define PH_TLS_DATA_MAX (63 * 1024)
/* Of all other frames. */
#define PH_TLS_CONTROL_MAX 128
#define PH_TLS_REASON_MAX 95

#define PH_TLS_VERSION 1

/* Flag of DATA: the stream ends here; of CREDIT: its end has arrived. */
#define PH_TLS_FLAG_FIN 1

typedef struct {
  uint8_t type; /* PhTlsFrameType */
  bool fin;
  uint16_t len;
  uint32_t stream;
} PhTlsFrameHeader;

/* What follows the header of any frame but DATA. Which fields count is the type's. */
typedef struct {
  uint64_t arrived;
  uint64_t limit; /* HELLO: of the link */
  uint64_t stream_limit; /* HELLO: of each stream */
  uint64_t streams; /* HELLO */
  uint64_t code;
  uint64_t token;
  uint8_t kind;
  PhSlice reason; /* borrowed */
} PhTlsFrameBody;

/* Poisons `r` for a header that no frame has. */
void ph_tls_frame_read_header (PhReader *r, PhTlsFrameHeader *ret_header);
/* Poisons `r` if it does not hold exactly the body of such a frame. */
void ph_tls_frame_read_body (PhReader *r, uint8_t type, PhTlsFrameBody *ret_body);

void ph_tls_frame_write_data_header (PhWriter *w, uint32_t stream, size_t len, bool fin);
/* Any other frame: header and body. */
void ph_tls_frame_write (PhWriter *w, uint8_t type, uint32_t stream, bool fin,
                         const PhTlsFrameBody *body);
