/* SPDX-License-Identifier: GPL-3.0-or-later */
/* porthole-rendezvous: where Portholes find each other. */

#include "config.h"

#include "net/io/ph-interfaces.h"
#include "net/io/ph-system-random.h"
#include "net/io/ph-tls-pin.h"
#include "net/rendezvous/ph-rooms-edge.h"
#include "net/signal/ph-rendezvous-ice.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define EXIT_USAGE 2
/* How long clients have to take their goodbye. */
#define GOODBYE_MS 2000
/* Descriptors that are not for connections: knocks under way, and the program's own. */
#define DESCRIPTORS_SPARE (PH_ROOMS_KNOCKS_MAX + 32)

typedef struct {
  char *listen;
  char **origins;
  char **stun_uris;
  char **turn_uris;
  char *turn_secret_file;
  char *tls_cert;
  char *tls_key;
  char *redis;
  int per_address_max;
  gboolean no_knocks;
  gboolean version;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->listen);
  g_strfreev (options->origins);
  g_strfreev (options->stun_uris);
  g_strfreev (options->turn_uris);
  g_free (options->turn_secret_file);
  g_free (options->tls_cert);
  g_free (options->tls_key);
  g_free (options->redis);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static bool complain (const char *format, ...) G_GNUC_PRINTF (1, 2);

static bool
complain (const char *format, ...)
{
  va_list args;

  fputs ("porthole-rendezvous: ", stderr);
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
  return false;
}

static bool
parse_options (int *argc, char ***argv, Options *options)
{
  const GOptionEntry entries[] = {
      {"listen", 0, 0, G_OPTION_ARG_STRING, &options->listen,
       "Address to listen on, e.g. 0.0.0.0:8080", "ADDR:PORT"},
      {"origin", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->origins,
       "An address that clients use besides the one listened on: a name, or that of a router or load "
       "balancer in front, e.g. wss://meet.example.org (may be repeated)",
       "URL"},
      {"stun-uri", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->stun_uris,
       "STUN server to hand out, e.g. stun:192.0.2.1:3478 (may be repeated)", "URI"},
      {"turn-uri", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->turn_uris,
       "TURN server to hand out, e.g. turn:192.0.2.1:3478 (may be repeated)", "URI"},
      {"turn-secret-file", 0, 0, G_OPTION_ARG_FILENAME, &options->turn_secret_file,
       "File with the secret shared with the TURN servers (coturn: use-auth-secret)", "FILE"},
      {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_cert, "Certificate (PEM)", "FILE"},
      {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_key, "Its private key (PEM)", "FILE"},
      {"max-per-address", 0, 0, G_OPTION_ARG_INT, &options->per_address_max,
       "Connections of one address (256)", "N"},
      {"no-knocks", 0, 0, G_OPTION_ARG_NONE, &options->no_knocks,
       "Do not connect back to clients that ask whether they can be reached", NULL},
      {"redis", 0, 0, G_OPTION_ARG_STRING, &options->redis, "Not there yet", "URL"},
      {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
      {0},
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- where Portholes find each other");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    return complain ("%s (--help lists the options)", error->message);
  if (*argc > 1)
    return complain ("unexpected argument '%s' (--help lists the options)", (*argv)[1]);
  return true;
}

static bool
check_uris (char **uris, bool turn)
{
  PhIceServer server;

  for (char **uri = uris; uri != NULL && *uri != NULL; uri++)
    if (!ph_ice_server_parse (*uri, &server) || (server.kind != PH_ICE_SERVER_STUN) != turn)
      return complain ("'%s' is no %s URI", *uri, turn ? "TURN" : "STUN");
  return true;
}

/* Replaces each origin by its canonical form. */
static bool
check_origins (char **origins)
{
  for (char **origin = origins; origin != NULL && *origin != NULL; origin++) {
    PhRendezvousAddress address;

    if (ph_rendezvous_address_parse (*origin, &address) != PH_RENDEZVOUS_ADDRESS_OK)
      return complain ("'%s' is no address: it looks like wss://meet.example.org/", *origin);
    g_free (*origin);
    *origin = g_strdup (address.origin);
  }
  return true;
}

static bool
read_turn_secret (const Options *options, char **ret_secret)
{
  g_autoptr (GError) error = NULL;

  if (options->turn_secret_file == NULL)
    return true;
  if (!g_file_get_contents (options->turn_secret_file, ret_secret, NULL, &error))
    return complain ("the TURN secret cannot be read: %s", error->message);
  g_strstrip (*ret_secret);
  if (**ret_secret == '\0')
    return complain ("the TURN secret in %s is empty", options->turn_secret_file);
  return true;
}

static bool
read_certificate (const Options *options, GTlsCertificate **ret_certificate)
{
  g_autoptr (GError) error = NULL;

  if ((options->tls_cert == NULL) != (options->tls_key == NULL))
    return complain ("--tls-cert and --tls-key belong together");
  if (options->tls_cert == NULL)
    return true;
  *ret_certificate = g_tls_certificate_new_from_files (options->tls_cert, options->tls_key, &error);
  return *ret_certificate != NULL
         || complain ("the certificate cannot be used: %s", error->message);
}

static uint64_t
unix_time (void *user)
{
  return (uint64_t)(g_get_real_time () / G_USEC_PER_SEC);
}

static void
log_event (void *user, PhTime now, const char *module, const char *line)
{
  g_autoptr (GDateTime) time = g_date_time_new_now_utc ();
  g_autofree char *text = g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ");

  fprintf (stderr, "%s %s\n", text, line);
}

/* As many as the system lets us have. */
static bool
raise_descriptor_limit (unsigned *ret_limit)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return complain ("cannot find out how many descriptors there may be: %s", g_strerror (errno));
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit); /* else it stays as it is */
  if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 2 * DESCRIPTORS_SPARE)
    return complain ("%u descriptors are needed at least (ulimit -n, LimitNOFILE=)",
                     2 * DESCRIPTORS_SPARE);
  *ret_limit = (unsigned)MIN (limit.rlim_cur, INT_MAX);
  return true;
}

static void
tell_room (const PhRoomsEdge *edge, unsigned descriptors)
{
  const unsigned max = ph_rooms_edge_connections_max (edge);

  if (max < PH_ROOMS_CONNECTIONS_MAX)
    complain (
        "there is room for %u connections; for more, up to %u, raise the limit of descriptors, "
        "which is %u (ulimit -n, LimitNOFILE=)",
        max, PH_ROOMS_CONNECTIONS_MAX, descriptors);
}

/* What to print where the address listened on is none that one can dial: the first that is. */
static PhAddr
dialable (const PhAddr *local)
{
  PhAddr addr = *local;

  if (ph_addr_scope (local) != PH_SCOPE_UNUSABLE)
    return addr;

  g_autoptr (GArray) interfaces = ph_interfaces_list (PH_INTERFACES_LOOPBACK);
  int best = -1;

  for (unsigned i = 0; i < interfaces->len; i++) {
    const PhInterface *interface = &g_array_index (interfaces, PhInterface, i);
    const int scope = (int)ph_addr_scope (&interface->addr);

    if (scope <= best
        || (local->family == PH_FAMILY_IPV4 && interface->addr.family != PH_FAMILY_IPV4))
      continue;
    best = scope;
    addr = interface->addr;
    addr.port = local->port;
  }
  return addr;
}

/* A certificate that nobody else vouches for is known by its pin. Others are renewed, often with a new
 * key, and checked by authority and name. */
static bool
is_self_signed (GTlsCertificate *certificate)
{
  g_autofree char *issuer = g_tls_certificate_get_issuer_name (certificate);
  g_autofree char *subject = g_tls_certificate_get_subject_name (certificate);

  return g_strcmp0 (issuer, subject) == 0;
}

/* The names in the certificate are names of this server. Adds them to the origins, behind the ones that
 * were given. */
static void
add_certificate_origins (GTlsCertificate *certificate, uint16_t port, GStrvBuilder *origins)
{
  g_autoptr (GPtrArray) names = g_tls_certificate_get_dns_names (certificate);

  for (unsigned i = 0; names != NULL && i < names->len; i++) {
    GBytes *name = g_ptr_array_index (names, i);
    PhRendezvousAddress address;
    g_autofree char *url =
        g_strdup_printf ("wss://%.*s:%u", (int)g_bytes_get_size (name),
                         (const char *)g_bytes_get_data (name, NULL), (unsigned)port);

    /* A wildcard is no name that one can dial. */
    if (ph_rendezvous_address_parse (url, &address) == PH_RENDEZVOUS_ADDRESS_OK)
      g_strv_builder_add (origins, address.origin);
  }
}

static void
print_address (const PhRoomsEdge *edge, char **origins, GTlsCertificate *certificate)
{
  const PhAddr local = dialable (ph_rooms_edge_local (edge));
  char text[PH_ADDR_STRING_MAX];
  char out[PH_RENDEZVOUS_ADDRESS_STRING_MAX];
  PhRendezvousAddress address;
  g_autofree char *url = origins[0] != NULL
                             ? g_strdup (origins[0])
                             : g_strdup_printf ("%s://%s", certificate != NULL ? "wss" : "ws",
                                                ph_addr_format (&local, text));

  if (ph_rendezvous_address_parse (url, &address) != PH_RENDEZVOUS_ADDRESS_OK)
    g_error ("cannot write down the address %s", url);
  if (certificate != NULL && address.tls && is_self_signed (certificate))
    address.has_pin = ph_tls_pin (certificate, address.pin);
  puts (ph_rendezvous_address_format (&address, out));
  fflush (stdout);
}

static gboolean
on_signal (void *user)
{
  bool *stop = user;

  *stop = true;
  return G_SOURCE_REMOVE;
}

static gboolean
on_goodbye (void *user)
{
  bool *late = user;

  *late = true;
  return G_SOURCE_REMOVE;
}

static int
serve (PhRoomsEdge *edge)
{
  bool stop = false;
  bool late = false;

  g_unix_signal_add (SIGTERM, on_signal, &stop);
  g_unix_signal_add (SIGINT, on_signal, &stop);
  while (!stop)
    g_main_context_iteration (NULL, TRUE);
  ph_rooms_edge_shut_down (edge);
  g_timeout_add (GOODBYE_MS, on_goodbye, &late);
  while (!late && !ph_rooms_edge_is_idle (edge))
    g_main_context_iteration (NULL, TRUE);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  g_auto (Options) options = {0};
  g_autofree char *turn_secret = NULL;
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (GError) error = NULL;
  PhRoomsEdgeConfig config = {0};
  unsigned descriptors;

  setlocale (LC_ALL, "");
  if (!parse_options (&argc, &argv, &options))
    return EXIT_USAGE;
  if (options.version) {
    puts ("porthole-rendezvous " PH_VERSION);
    return EXIT_SUCCESS;
  }
  if (options.redis != NULL) {
    complain ("--redis is not there yet: one server serves a household or a company without it");
    return EXIT_USAGE;
  }
  if (options.listen == NULL || !ph_addr_parse (options.listen, 0, &config.listen)
      || strrchr (options.listen, ':') == NULL) {
    complain ("--listen takes an address and a port, such as 0.0.0.0:8080 or [::]:8080");
    return EXIT_USAGE;
  }
  if (!check_uris (options.stun_uris, false) || !check_uris (options.turn_uris, true)
      || !check_origins (options.origins) || options.per_address_max < 0)
    return EXIT_USAGE;
  if (!read_turn_secret (&options, &turn_secret) || !read_certificate (&options, &certificate))
    return EXIT_FAILURE;
  if (!raise_descriptor_limit (&descriptors))
    return EXIT_FAILURE;
  if (options.turn_uris != NULL && turn_secret == NULL)
    complain ("without --turn-secret-file the TURN servers are handed out without credentials");

  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  if (options.origins != NULL)
    g_strv_builder_addv (builder, (const char **)options.origins);
  if (certificate != NULL && config.listen.port != 0)
    add_certificate_origins (certificate, config.listen.port, builder);

  g_auto (GStrv) origins = g_strv_builder_end (builder);

  config.certificate = certificate;
  config.no_knocks = options.no_knocks;
  config.descriptors_max = descriptors - DESCRIPTORS_SPARE;
  config.rooms = (PhRoomsConfig){
      .random = ph_system_random (),
      .trace = {log_event, NULL},
      .origins = (const char *const *)origins,
      .stun_uris = (const char *const *)options.stun_uris,
      .turn_uris = (const char *const *)options.turn_uris,
      .turn_secret = turn_secret,
      .unix_time = unix_time,
      .per_address_max = (unsigned)options.per_address_max,
  };

  g_autoptr (PhRoomsEdge) edge = ph_rooms_edge_new (&config, &error);

  if (edge == NULL) {
    complain ("cannot listen on %s: %s", options.listen,
              g_error_matches (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE)
                  ? "the port is in use; another server runs there"
                  : error->message);
    return EXIT_FAILURE;
  }
  tell_room (edge, descriptors);
  print_address (edge, origins, certificate);
  return serve (edge);
}
