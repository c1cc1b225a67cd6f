/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of PhCore and how they call each other. One file a concern:
 *
 *   ph-core.c           commands in, settling, the wake-up of file workers
 *   ph-core-network.c   sockets, interfaces, STUN servers
 *   ph-core-probe.c     servers being tried
 *   ph-core-nat64.c     IPv4 from a network that has only IPv6
 *   ph-core-nat.c       what kind of NAT this is, and the network report
 *   ph-core-nat-tcp.c   how it maps TCP
 *   ph-core-nat-inbound.c   whether what routers open is open
 *   ph-core-nat-lifetime.c  how long it keeps what is not used
 *   ph-core-tcp.c       TCP ports and connections
 *   ph-core-guess.c     what guessing ports takes
 *   ph-core-relay.c     TURN servers and the streams to them
 *   ph-core-portmap.c   ports that the router opens
 *   ph-core-meeting.c   rendezvous servers
 *   ph-core-invitation.c  how people become contacts
 *   ph-core-nearby.c    contacts on the same network
 *   ph-core-peer.c      contacts, their sessions and links
 *   ph-core-contact.c   what a person decides about a contact
 *   ph-core-transfer.c  transfers: their life, their rows, their snapshots
 *   ph-core-offer.c     offers that nobody has answered, sends that nobody has taken
 *   ph-core-explain.c   how connecting to a contact goes
 *   ph-core-export.c    moving to another device
 *   ph-core-history.c   transfers that have ended, and what they consisted of
 *   ph-core-settings.c  settings
 *
 * Everything changes state and leaves the rest to ph_core_settle(), which is called at the end of every
 * input from outside and nowhere else. */

#pragma once

#include "app/engine/ph-core.h"
#include "app/engine/ph-file-sink.h"
#include "app/engine/ph-file-source.h"
#include "app/engine/ph-safe-name.h"
#include "app/engine/ph-scan.h"
#include "app/engine/ph-session.h"
#include "app/store/ph-store-contacts.h"
#include "app/store/ph-store-transfers.h"
#include "net/connect/ph-endpoint.h"
#include "net/io/ph-interfaces.h"
#include "net/io/ph-multicast.h"
#include "net/io/ph-nat64-finder.h"
#include "net/io/ph-outlet.h"
#include "net/io/ph-rendezvous-driver.h"
#include "net/io/ph-resolver.h"
#include "net/io/ph-stream.h"
#include "net/io/ph-timer.h"
#include "net/io/ph-tcp.h"
#include "net/io/ph-udp.h"
#include "net/nat/ph-nat-discovery.h"
#include "net/nearby/ph-nearby.h"

/* A link that carries nothing is kept this long, so that the next files start at once. */
#define PH_CORE_LINK_IDLE (120 * PH_SEC)
/* Snapshots of one transfer are told this often at most, but for changes of its state. */
#define PH_CORE_TELL_INTERVAL (100 * PH_MSEC)
/* Transfers that ended are kept to know their ids again, without their manifests: a peer can make new ones
 * at the pace of its offers, for as long as the process lives. */
#define PH_CORE_ENDED_MAX 64u
/* An offer that has waited for so long gets a row, so that it is not forgotten with a crash. Most are answered
 * before. */
#define PH_CORE_OFFER_STORE_INTERVAL (2 * PH_SEC)
/* What is taken without asking is counted for so many hours: a day. */
#define PH_CORE_TAKEN_HOURS 24u
/* What each entry counts besides its bytes: that much an empty file takes on most disks, and without it there
 * would be no end to those. */
#define PH_CORE_TAKEN_ENTRY 4096u
/* Missed offers that are kept for each contact. */
#define PH_CORE_MISSED_MAX 100u
/* The span over which the shown rate is averaged. */
#define PH_CORE_RATE_INTERVAL (2 * PH_SEC)

/* Ten years: a slip of the finger is more likely than a wish for more. */
#define PH_CORE_QUEUE_DAYS_MAX 3650u

/* A meeting point tells who is there right after the login, and says nothing of who is not. */
#define PH_CORE_PRESENCE_INTERVAL PH_SEC

/* A deadline that is missed by so much was slept through: nothing that this thread does takes as long, and no
 * router forgets a mapping sooner. */
#define PH_CORE_SLEPT_MIN (10 * PH_SEC)

/* How often the network report is made anew while something happens. */
#define PH_CORE_NETWORK_INTERVAL PH_SEC

/* Lines of the trace that are kept of each contact: an attempt with its candidates and pairs. */
#define PH_CORE_LOG_MAX 100u

/* Read-ahead buffers that are kept for reuse, shared by all sources. */
#define PH_CORE_POOL_BUF PH_FILE_SOURCE_CHUNK
#define PH_CORE_POOL_KEEP 32u

/* A STUN server by name, being looked up. */
typedef struct {
  PhCore *core;
  PhResolve *resolve;
} PhLookup;

typedef struct _PhNatTcpRun PhNatTcpRun;
typedef struct _PhNatLifetimeRun PhNatLifetimeRun;
typedef struct _PhNatInboundRun PhNatInboundRun;
typedef struct _PhNatKnockRun PhNatKnockRun;

/* The NAT, or firewall, of one address family. */
typedef struct {
  PhNatDiscovery *discovery; /* NULL: not running */
  PhUdp *sockets[2]; /* owned; for mapping and for filtering, while it runs */
  PhNatDiscoveryConfig asked; /* of the last run on this network; no servers: none */
  PhNatVerdict verdict;
} PhNatRun;

/* Addresses of one TURN server's name that are used. */
#define PH_CORE_RELAY_ADDRS_MAX 4

/* A TURN server by name, and what the name stands for once `resolve` is NULL. */
typedef struct {
  PhCore *core;
  PhIceServer server;
  PhResolve *resolve; /* owned */
  PhAddr addrs[PH_CORE_RELAY_ADDRS_MAX];
  size_t n_addrs;
} PhRelayLookup;

/* A rendezvous server that we are or want to be connected to. */
typedef struct {
  PhCore *core;
  PhRendezvousDriver *driver; /* owned */
  PhRendezvousAddress address;
  PhStatus status;
  PhRendezvousCode code; /* why offline */
  PhTime retry_at;
  PhIceServers ice;
} PhMeeting;

/* A TCP port that a router says it has opened, and whether that was seen from outside. */
typedef struct {
  uint32_t port;
  PhAddr external; /* family none: nothing is opened */
  bool asked;
  PhMeeting *meeting; /* borrowed; where it was asked */
  uint64_t handle; /* of the knock there; 0: not under way */
  uint8_t greeting[PH_RENDEZVOUS_GREETING_LEN]; /* what is to be heard */
  PhNatAnswer open;
} PhMappedPort;

typedef enum { PH_PENDING_INVITE, PH_PENDING_ADD } PhPendingType;

/* An invitation that somebody waits for. */
typedef struct {
  PhPendingType type;
  uint32_t command; /* 0: of an earlier run, nobody listens */
  PhMeeting *meeting; /* borrowed; NULL: on this network only */
  uint64_t handle; /* there */
  uint64_t nearby; /* its handle on this network; 0: not looked for there */
  PhInvitation invitation;
  PhTime expires_at; /* ours */
  bool told; /* the person has the link */
  char *contact; /* the id of whoever used it on this network, and is being told; NULL */
  PhRendezvousCode code; /* why the meeting point will not do; OK: not known */
  char *name; /* to give the contact, or NULL */
} PhPending;

typedef struct {
  PhCore *core;
  PhDeviceId id;
  char text[PH_DEVICE_ID_STRING_MAX];
  PhStoreContact *contact; /* owned */
  bool online;
  PhSession *session;
  PhConnector *connector; /* the endpoint's; NULL while not connected */
  PhTime idle_since; /* links carry nothing since; PH_NEVER: they do */
  uint64_t taken[PH_CORE_TAKEN_HOURS]; /* bytes, without asking, by the hour; in this run */
  uint64_t taken_hour; /* of the last one: hour `h` is in taken[h % PH_CORE_TAKEN_HOURS] */
  PhTrace trace; /* of what concerns this contact: into the log, and on to the core's */
  GQueue log; /* the last lines */
} PhPeer;

/* What a sink's threads commit to; outlives the sink. */
typedef struct {
  PhStore *store;
  PhTransferId id;
} PhSinkCommit;

typedef struct {
  PhCore *core;
  PhPeer *peer; /* borrowed; NULL: the contact is gone */
  char *peer_name;
  PhSinkCommit commit;
  PhTransferId id;
  char text[2 * PH_TRANSFER_ID_LEN + 1];
  bool outgoing;
  PhManifest *manifest; /* NULL once it has ended */
  uint32_t files; /* of the manifest */
  uint64_t bytes_total;
  char **roots; /* outgoing */
  GPtrArray *top_names; /* of char *, NULL-terminated */
  char *folder; /* incoming, accepted */
  PhStorageError refused; /* incoming: why it could not be accepted when that was last tried */
  PhTransferState state;
  bool paused_here;
  PhPause paused_there;
  PhStorageError stalled; /* incoming: paused because of this; OK: not */
  char *stalled_message;
  bool stalled_held; /* and by a person: it does not go on by itself */
  PhTime stall_check_at; /* when it is looked whether it can go on; PH_NEVER */
  PhTime stall_wait; /* how long the next time; 0: it has not stopped yet */
  uint64_t stall_bytes; /* what was durable then */
  struct _PhStallCheck *stall_check; /* what looks just now, or NULL */
  bool accepted;
  bool in_session; /* the session knows it */
  bool stored; /* it has a row */
  bool missed; /* incoming: ended before this person answered */
  GByteArray *digests; /* outgoing: of what was sent, 32 bytes an entry; zeros: not known */
  bool digests_new; /* some are not stored */

  uint64_t bytes_done;
  uint64_t bytes_durable;
  PhTime created_at; /* in this run */
  PhTime accepted_at; /* PH_NEVER: not in this run */
  PhTime started_at;
  PhTime ended_at;
  PhTime direct_at;
  int64_t created_unix;
  int64_t finished_unix;

  uint64_t rate_bytes; /* at rate_from */
  PhTime rate_from;
  uint64_t rate;

  PhPath path;
  uint64_t path_bytes[PH_PATH_RELAY + 1];
  PhPathKind best_path;
  PhTime rtt;

  const char *code; /* static */
  char *message;
  PhTime retry_at; /* of what `code` says; PH_NEVER: not by time */
  PhTime told_at;
  bool tell; /* there is news */
} PhTransfer;

/* Files being looked at before a send. */
typedef struct {
  PhCore *core;
  PhScan *scan; /* owned */
  uint32_t command;
  PhDeviceId peer;
} PhScanning;

struct _PhCore {
  PhProfile *profile; /* borrowed */
  PhCoreEmit emit;
  gpointer user_data;
  PhRandom random;
  PhTrace trace;
  uint8_t instance[PH_INSTANCE_LEN];
  bool connected;
  bool explain;
  uint32_t telling; /* the listener that is told the whole state; 0: all hear */
  bool settling;
  bool settle_again;

  /* network */
  PhTlsIdentity *tls;
  PhEndpoint *endpoint;
  GPtrArray *sockets; /* PhUdp, owned */
  PhTcp *tcp; /* owned */
  GArray *tcp_ports; /* uint32_t, their ids */
  uint32_t last_socket;
  PhTimer *timer;
  PhTime armed; /* what it was last set to */
  GSource *wake; /* file workers set it ready */
  PhInterfaceMonitor *monitor;
  PhNat64Finder *nat64; /* owned; NULL while not connected */
  GPtrArray *lookups; /* PhLookup, owned */
  GArray *stun_addrs; /* PhAddr */
  GPtrArray *relay_lookups; /* PhRelayLookup, owned */
  GPtrArray *guess_sockets; /* PhUdp, owned: fresh ones, to guess ports with */
  GPtrArray *relay_streams; /* PhStream, owned */
  GPtrArray *mappers; /* of ph-core-portmap.c, owned */
  uint8_t *tx_buffer; /* PH_TRANSMIT_MAX */
  PhBufPool *pool; /* for sources */
  GArray *reports; /* PhReportWait: commands that wait for STUN */

  /* nearby */
  PhNearby *nearby; /* NULL: switched off, or not connected */
  PhMulticast *groups[2]; /* owned; IPv4, IPv6; NULL where the kernel has none */

  /* nat */
  PhNatRun nat_runs[2]; /* IPv4, IPv6 */
  PhTime nat_wanted_since; /* PH_NEVER: no run is wanted */
  PhNatVerdict nat_verdict; /* of the first family that has one: the one whose NATs matter */
  bool nat_deaf; /* no server had been heard when that was found */
  PhNatTcpRun *nat_tcp; /* owned; NULL: not running */
  PhNatLifetimeRun *nat_lifetime; /* owned; NULL: not running */
  PhNatInboundRun *nat_inbound; /* owned; NULL: not running */
  uint32_t mapped_socket;
  PhAddr mapped_addr; /* where a router says that socket can be reached; family none: nowhere */
  size_t mapped_asked; /* servers that were asked about it */
  PhNatAnswer mapped_open; /* whether that is so */
  bool lifetime_known; /* also as far as it has come while it runs */
  PhTime lifetime_survived, lifetime_expired; /* PH_NEVER: not known */
  PhNatVerdict nat_tcp_verdict;
  PhNatKnockRun *nat_knocks[2]; /* owned; a stranger's and an acquaintance's; NULL: not running */
  bool nat_knocks_wanted;
  PhNatAnswer nat_heard[2]; /* what came of them */
  PhNatDependence nat_tcp_filtering[2]; /* of IPv4, of IPv6 */
  PhMappedPort mapped_tcp;

  /* what is told of the network */
  GPtrArray *probes; /* PhProbe, owned */
  PhTime rendezvous_rtt, stun_rtt, relay_rtt; /* PH_NEVER: not known */
  bool probe_wanted;
  int64_t checked_unix; /* when the servers were last asked; 0: never */
  char *network; /* the report that was told last */
  PhTime network_at; /* the next look at whether it changed; PH_NEVER: nothing has happened */
  PhTime network_looked; /* the last one */

  GPtrArray *meetings; /* PhMeeting, owned */
  PhTime presence_by; /* who is there has been told by then; PH_NEVER: it has been */
  GPtrArray *pendings; /* PhPending, owned */
  GPtrArray *peers; /* PhPeer, owned */
  GPtrArray *transfers; /* PhTransfer, owned: unfinished, and the last that ended in this run */
  GPtrArray *scans; /* PhScanning, owned */

  GPtrArray *jobs; /* exports and imports under way, borrowed */
  bool imported; /* the profile on disk is another one: nothing is done any more */

  /* The transfer whose files were listed last: pages are asked for one after the other. */
  PhTransferId listed_id;
  PhManifest *listed_manifest; /* NULL: none */
  PhSafeNames *listed_names; /* of it, as they were written; NULL: not asked for yet */
  bool is_private;
  PhPacer pacer; /* of all that is sent */
  uint64_t limit_down; /* bytes a second for all peers together; 0: none */
  uint64_t queue_days; /* 0: for ever */
};

typedef struct {
  uint32_t command;
  PhTime until;
} PhReportWait;

/* ph-core.c */
PhTime ph_core_now (PhCore *self);
/* What file workers call, on their threads, when they have something: a PhCore. */
void ph_core_wake (void *core);
/* Tells each peer its part of the limit for what is received. */
void ph_core_share_limit_down (PhCore *self, PhTime now);
/* Carries out everything that the last input set off; see the head of this file. */
void ph_core_settle (PhCore *self);
/* Tells all listeners, or the one that is being told the whole state. */
void ph_core_emit (PhCore *self, PhEvent event);
/* Closes all links and leaves all meeting points. */
void ph_core_disconnect (PhCore *self);
/* Ends a command. `error` NULL: well. */
void ph_core_done (PhCore *self, uint32_t command, const GError *error, const char *text);
void ph_core_fail (PhCore *self, uint32_t command, PhEngineError code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
int64_t ph_core_unix_now (void);

/* ph-core-network.c */
void ph_core_network_start (PhCore *self);
void ph_core_network_stop (PhCore *self);
/* Looks up the STUN servers of settings and meetings anew. */
void ph_core_network_update_servers (PhCore *self);
bool ph_core_network_transmit (PhCore *self, PhTime now);
void ph_core_check_network (PhCore *self, const PhCommand *command);
/* Something may have changed in the report: it is looked at, not too often. */
void ph_core_network_look (PhCore *self, PhTime now);
/* The report that was told last, to whoever is told the whole state. */
void ph_core_tell_network (PhCore *self);
PhUdp *ph_core_find_socket (const PhCore *self, uint32_t id);
/* ph_outlet_for() the address, as its main socket has it. */
uint32_t ph_core_outlet (const PhCore *self, const PhAddr *local);
void ph_core_network_report (PhCore *self, uint32_t command, uint32_t timeout_ms);
void ph_core_network_check_reports (PhCore *self, PhTime now);
PhTime ph_core_network_next_timeout (const PhCore *self);

/* Sockets as addresses are, and all paths anew. */
void ph_core_network_renew (PhCore *self, PhTime now);

/* ph-core-nat64.c */
void ph_core_nat64_start (PhCore *self);
void ph_core_nat64_stop (PhCore *self);
/* The first translator's; len 0: none. */
PhNat64Prefix ph_core_nat64_prefix (const PhCore *self);
/* The local addresses that there are besides the interfaces'; returns how many. */
size_t ph_core_nat64_locals (const PhCore *self, PhAddr ret[PH_NAT64_PREFIXES_MAX]);
/* Whether the socket is bound to such an address, and that still stands for the same. */
bool ph_core_nat64_is_current (const PhCore *self, const PhUdp *udp);
/* At any port of a local address, theirs or an interface's. NULL, false: the log says why. */
PhUdp *
ph_core_udp_new (PhCore *self, const PhAddr *local, const PhUdpCallbacks *callbacks, void *user);
bool ph_core_tcp_listen (const PhCore *self, PhTcp *tcp, uint32_t id, const PhAddr *local);
/* The address that a translator's stands for, which DNS64 may have made; any other as it is. */
PhAddr ph_core_nat64_plain (const PhCore *self, const PhAddr *addr);
/* The way back, for what leaves from no address of ours in particular. */
PhAddr ph_core_nat64_reach (const PhCore *self, const PhAddr *addr);

/* ph-core-relay.c */
void ph_core_relay_init (PhCore *self);
void ph_core_relay_stop (PhCore *self);
/* Looks up the TURN servers of settings and meetings anew, and tells the endpoint their credentials. */
void ph_core_relay_update_servers (PhCore *self);
bool ph_core_relay_is_looking (const PhCore *self);
void ph_core_tcp_start (PhCore *self);
void ph_core_tcp_add_port (PhCore *self, PhTime now, const PhAddr *addr);
void ph_core_tcp_update_outlets (PhCore *self);
void ph_core_tcp_remove_port (PhCore *self, PhTime now, const PhAddr *addr);
/* Carries out what the endpoint asks for; whether there was anything. */
bool ph_core_tcp_settle (PhCore *self);
/* False if tx->socket is no connection. */
bool ph_core_tcp_transmit (PhCore *self, const PhTransmit *tx);

/* Connects and closes streams as the endpoint wishes; whether there was anything to do. */
bool ph_core_relay_settle (PhCore *self);
/* False if tx->socket is no stream to a relay. */
bool ph_core_relay_transmit (PhCore *self, const PhTransmit *tx);

/* ph-core-nearby.c */
/* By the setting; for all sockets and contacts that there are. */
void ph_core_nearby_update (PhCore *self);
void ph_core_nearby_stop (PhCore *self);
void ph_core_nearby_add_socket (PhCore *self, PhTime now, const PhUdp *udp, uint32_t interface);
void ph_core_nearby_remove_socket (PhCore *self, PhTime now, uint32_t socket);
/* Whether anything was sent or told. */
bool ph_core_nearby_settle (PhCore *self, PhTime now);

/* ph-core-guess.c */
/* After the NAT's verdict or the setting changed. */
void ph_core_guess_update (PhCore *self);
/* Opens the sockets that the endpoint wishes for; whether there were any. */
bool ph_core_guess_settle (PhCore *self);
PhUdp *ph_core_guess_find_socket (const PhCore *self, uint32_t id);
void ph_core_guess_close (PhCore *self, uint32_t id);

/* ph-core-nat.c */
/* A run when STUN has answered, unless the last one asked the same servers on the same network. */
void ph_core_nat_want (PhCore *self, PhTime now, bool network_changed);
void ph_core_nat_stop (PhCore *self);
/* Starts, sends, ends; whether anything was sent. */
bool ph_core_nat_settle (PhCore *self, PhTime now);
void ph_core_nat_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_nat_next_timeout (const PhCore *self);
bool ph_core_nat_is_running (const PhCore *self);
/* Whether a verdict is still to come. */
bool ph_core_nat_is_pending (const PhCore *self);
/* It is asked anew, whatever it was asked before. */
void ph_core_nat_ask_again (PhCore *self, PhTime now);
/* The last run that asked servers; NULL: none on this network. */
const PhNatDiscoveryConfig *ph_core_nat_asked (const PhCore *self);
/* What `nat --json` prints; to be freed. */
char *ph_core_nat_report (PhCore *self);

/* ph-core-nat-tcp.c */
/* From `local`; NULL if there is no port to be had. */
PhNatTcpRun *
ph_nat_tcp_run_new (PhCore *core, PhTime now, const PhAddr *local, const PhAddr *servers, size_t n);
void ph_nat_tcp_run_free (PhNatTcpRun *self);
/* Whether there was anything to do. */
bool ph_nat_tcp_run_settle (PhNatTcpRun *self, PhTime now);
/* What TCP tells: translated, mapping and public_addr. */
bool ph_nat_tcp_run_poll_event (PhNatTcpRun *self, PhNatVerdict *ret_verdict);
void ph_nat_tcp_run_handle_timeout (PhNatTcpRun *self, PhTime now);
PhTime ph_nat_tcp_run_next_timeout (const PhNatTcpRun *self);

/* ph-core-nat-lifetime.c */
/* command->flag: begins, or waits for what has begun; else ends it. */
void ph_core_nat_lifetime (PhCore *self, const PhCommand *command);
/* The network has changed, or is left: what is running fails with CANCELLED, what was found is forgotten. */
void ph_core_nat_lifetime_stop (PhCore *self);
bool ph_core_nat_lifetime_settle (PhCore *self, PhTime now);
void ph_core_nat_lifetime_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_nat_lifetime_next_timeout (const PhCore *self);

/* ph-core-nat-inbound.c */
/* A router says that `socket` can be reached there; family none: nowhere any more. */
void ph_core_nat_inbound_mapped (PhCore *self, uint32_t socket, const PhAddr *external);
/* What was found out does not hold any more. */
void ph_core_nat_inbound_stop (PhCore *self);
bool ph_core_nat_inbound_settle (PhCore *self, PhTime now);
/* False: it is for somebody else. */
bool ph_core_nat_inbound_handle_packet (PhCore *self, PhTime now, const PhDatagram *in);
void ph_core_nat_inbound_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_nat_inbound_next_timeout (const PhCore *self);

/* ph-core-nat-knock.c */
/* Filtering is to be found out (again) when a meeting point is there that knocks, and so whether the port that the router
 * has opened is open. */
void ph_core_nat_knock_want (PhCore *self);
/* What was found out does not hold any more. */
void ph_core_nat_knock_stop (PhCore *self);
/* A router says that TCP port `port` can be reached there; family none: nowhere any more. */
void ph_core_nat_knock_mapped (PhCore *self, uint32_t port, const PhAddr *external);
/* Bytes of a TCP connection to a port of the endpoint's: they may be the knock. */
void ph_core_nat_knock_handle_packet (PhCore *self, const PhDatagram *in);
void ph_core_nat_knocked (PhMeeting *meeting, PhTime now, const PhRendezvousEvent *event);
bool ph_core_nat_knock_settle (PhCore *self, PhTime now);
void ph_core_nat_knock_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_nat_knock_next_timeout (const PhCore *self);
bool ph_core_nat_knock_is_pending (PhCore *self);

/* ph-core-portmap.c */
void ph_core_portmap_free_mapper (gpointer data);
/* A client for every address that stands behind a router, as settings and sockets are; `anew`: whatever was
 * found out before may not hold any more. */
void ph_core_portmap_update (PhCore *self, PhTime now, bool anew);
/* Closes what was opened. */
void ph_core_portmap_stop (PhCore *self);
/* Whether anything was sent. */
bool ph_core_portmap_settle (PhCore *self, PhTime now);
void ph_core_portmap_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_portmap_next_timeout (const PhCore *self);
/* Whether a router is still to answer. */
bool ph_core_portmap_is_pending (const PhCore *self);
/* "pcp", "nat-pmp", "upnp", or NULL where nothing is mapped. */
const char *ph_core_portmap_protocol (const PhCore *self);

/* ph-core-meeting.c */
void ph_core_meetings_start (PhCore *self);
void ph_core_meetings_stop (PhCore *self);
/* Connects to the servers of settings and contacts, and to no others. */
void ph_core_meetings_update (PhCore *self);
/* The computer has slept: what routers and servers knew of us they may have forgotten, whatever our addresses. */
void ph_core_network_woke (PhCore *self, PhTime now);
void ph_core_meetings_network_changed (PhCore *self);
void ph_core_watch (PhCore *self, const PhDeviceId *id);
void ph_core_unwatch (PhCore *self, const PhDeviceId *id);
/* Carries a connector's signal to a peer that is at some meeting point or on this network; false if it is
 * at none. */
bool ph_core_send_signal (PhCore *self, const PhDeviceId *id, GBytes *body);
bool ph_core_is_online (PhCore *self, const PhDeviceId *id);
/* Somebody may have come or gone. */
void ph_core_update_presence (PhCore *self);
void ph_core_tell_status (PhCore *self);
void ph_meeting_free (gpointer data);
PhMeeting *ph_core_find_meeting (const PhCore *self, const PhRendezvousAddress *address);
/* The one that invitations are made at: of the settings, or the first that there is. */
PhMeeting *ph_core_own_meeting (PhCore *self);
/* Connects to one more; NULL if there are too many. */
PhMeeting *ph_core_add_meeting (PhCore *self, const PhRendezvousAddress *address);
/* Why it is offline: the end of a sentence, translated and static. */
const char *ph_meeting_reason (PhRendezvousCode code);
/* The one that knows most of who is there: one that is online, else one that was tried in vain. NULL: there
 * is none. */
const PhMeeting *ph_core_best_meeting (const PhCore *self);

/* ph-core-invitation.c */
void ph_core_invite (PhCore *self, const PhCommand *command);
void ph_core_withdraw (PhCore *self, const PhCommand *command);
void ph_core_list_invitations (PhCore *self, const PhCommand *command);
void ph_core_add (PhCore *self, const PhCommand *command);
/* Opens those of an earlier run that are still good. */
void ph_core_invitations_reopen (PhCore *self);
void ph_core_handle_invitation (PhMeeting *meeting, const PhRendezvousEvent *event);
/* `meeting` cannot be reached: links are good on this network all the same. */
void ph_core_invitations_offline (PhCore *self, const PhMeeting *meeting);
/* `nearby` has begun, or is about to end. */
void ph_core_invitations_nearby_start (PhCore *self);
void ph_core_invitations_nearby_stop (PhCore *self);
void ph_core_invitations_handle_nearby (PhCore *self, const PhNearbyEvent *event);
void ph_pending_free (gpointer data);

/* ph-core-peer.c */
void ph_core_peers_load (PhCore *self);
PhPeer *ph_core_find_peer (const PhCore *self, const PhDeviceId *id);
/* By its printed form; NULL: ends the command with UNKNOWN_CONTACT. */
PhPeer *ph_core_need_peer (PhCore *self, const PhCommand *command);
/* Adds a contact, or renames and unblocks the one that there is. `address` NULL: no meeting point is known. */
PhPeer *ph_core_add_peer (PhCore *self, const PhDeviceId *id, const char *name,
                          const PhRendezvousAddress *address, GError **error);
void ph_core_rename_peer (PhCore *self, const PhCommand *command);
void ph_core_remove_peer (PhCore *self, const PhCommand *command);
void ph_core_block_peer (PhCore *self, const PhCommand *command);
void ph_core_tell_peer (PhCore *self, const PhPeer *peer);
PhContactView ph_peer_view (const PhPeer *self);
/* After presence, transfers, meeting points or the network changed: is a link wanted, and what is in the way? */
void ph_peer_update (PhPeer *self, PhTime now);
/* The same for all. */
void ph_core_peers_update (PhCore *self, PhTime now);
/* Makes connector and session; called when the engine goes online. */
void ph_peer_connect (PhPeer *self);
bool ph_core_peers_settle (PhCore *self, PhTime now);
PhTime ph_core_peers_next_timeout (PhCore *self, PhTime now);
void ph_core_peers_handle_timeout (PhCore *self, PhTime now);
void ph_core_peers_say_goodbye (PhCore *self, PhTime now);
void ph_peer_free (gpointer data);

/* ph-core-contact.c */
/* Makes the contact what `row` (a copy of it, changed; its name is copied) says, in the database first: memory
 * never says what the next run will not know. False after the command was ended with an error. */
bool
ph_core_change_contact (PhCore *self, PhPeer *peer, const PhStoreContact *row, uint32_t command);
void ph_core_set_auto_accept (PhCore *self, const PhCommand *command);
void ph_core_set_verified (PhCore *self, const PhCommand *command);
void ph_core_dismiss_alert (PhCore *self, const PhCommand *command);
/* Whoever answers does not hold the contact's key: stops, and says so. */
void ph_peer_alert (PhPeer *self, const char *message);
/* `peers` (PhPeer) were online until now. */
void ph_core_note_seen (PhCore *self, const GPtrArray *peers);

/* ph-core-transfer.c */
void ph_core_transfers_load (PhCore *self);
/* Hands unfinished transfers to the session of `peer`, which has just been made. */
void ph_core_transfers_restore (PhCore *self, PhPeer *peer);
void ph_core_send (PhCore *self, const PhCommand *command);
/* Looks at `paths`, and sends them. */
void
ph_core_send_paths (PhCore *self, uint32_t command, const PhPeer *peer, const char *const *paths);
/* Nothing is sent to them. */
void ph_core_fail_blocked (PhCore *self, const PhCommand *command, const PhPeer *peer);
void ph_core_scans_check (PhCore *self);
void ph_core_accept (PhCore *self, const PhCommand *command);
void ph_core_decline (PhCore *self, const PhCommand *command);
void ph_core_cancel (PhCore *self, const PhCommand *command);
void ph_core_pause (PhCore *self, const PhCommand *command, bool pause);
void
ph_core_handle_session_event (PhCore *self, PhTime now, PhPeer *peer, const PhSessionEvent *event);
/* A link of `peer` came up, changed its path (or went: NULL). */
void ph_core_transfers_path (PhCore *self, PhTime now, PhPeer *peer, const PhPath *path);
/* The peer is there, and a path is being looked for. */
void ph_core_transfers_connecting (PhCore *self, PhPeer *peer);
/* The peer cannot be reached, for this reason; tried again at `retry_at`, or PH_NEVER. */
void ph_core_transfers_trouble (PhCore *self, PhPeer *peer, PhEngineError code, const char *message,
                                PhTime retry_at);
void ph_core_transfers_forget_peer (PhCore *self, PhPeer *peer);
/* What has news and may be told again. */
void ph_core_transfers_tell (PhCore *self, PhTime now);
void ph_core_transfers_tell_unfinished (PhCore *self, PhTime now);
PhTime ph_core_transfers_next_timeout (const PhCore *self);
const PhSessionHooks *ph_core_session_hooks (PhPeer *peer, PhSessionHooks *hooks);
void ph_transfer_free (gpointer data);
void ph_scanning_free (gpointer data);

/* ph-core-offer.c */
/* An offer of an earlier run that nobody has answered: it waits for its sender. */
void ph_core_load_offer (PhCore *self, const PhStoreTransfer *row);
/* `peer` offers this again. False: it is another transfer. */
bool ph_core_offer_again (PhCore *self, PhTransfer *transfer, PhPeer *peer, PhManifest *manifest);
/* `peer` has told all that it offers. */
void ph_core_offers_synced (PhCore *self, PhTime now, PhPeer *peer);
/* When a send that nobody has taken is given up, in Unix seconds; 0: never. */
int64_t ph_transfer_expires (const PhTransfer *self);
void ph_core_offers_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_offers_next_timeout (PhCore *self, PhTime now);
/* Before the end: what has no row gets one. */
void ph_core_offers_stop (PhCore *self);

/* ph-core-stalled.c */
void ph_core_stalled_handle_timeout (PhCore *self, PhTime now);
PhTime ph_core_stalled_next_timeout (const PhCore *self);

/* ph-core-explain.c */
void ph_core_explain_contact (PhCore *self, const PhCommand *command);
void ph_peer_log_start (PhPeer *self);
void ph_peer_log_clear (PhPeer *self);

/* ph-core-export.c */
void ph_core_export (PhCore *self, const PhCommand *command);
void ph_core_import (PhCore *self, const PhCommand *command);
/* Their ends are not waited for. */
void ph_core_jobs_stop (PhCore *self);

/* ph-core-history.c */
void ph_core_load_history (PhCore *self, const PhCommand *command);
void ph_core_forget (PhCore *self, const PhCommand *command);
void ph_core_list_files (PhCore *self, const PhCommand *command);
void ph_core_send_again (PhCore *self, const PhCommand *command);
/* An outgoing transfer sent entry `file`. */
void ph_transfer_note_digest (PhTransfer *self, uint32_t file, const uint8_t sha256[PH_SHA256_LEN]);
void ph_transfer_store_digests (PhTransfer *self);
/* What a search looks at: names, folded. To be freed. */
char *ph_transfer_words (const PhTransfer *self);

/* ph-core-settings.c */
/* Whether ended transfers are to leave no trace. */
bool ph_core_is_private (PhCore *self);
/* Lets what is set take effect, where it is not read anew each time. */
void ph_core_settings_apply (PhCore *self);
void ph_core_get_setting (PhCore *self, const PhCommand *command);
void ph_core_set_setting (PhCore *self, const PhCommand *command);
/* All of them. */
void ph_core_tell_settings (PhCore *self);
/* The value, to be freed, or the default; never NULL. */
char *ph_core_setting (PhCore *self, const char *key);
