/* config_schema - the one list of options: name, type, default, bounds, who may see it, and a sentence for the operator.
 * Invariants: no file of a certificate or key is named to a child by the configuration; what no child needs stays with the supervisor. An
 * option or word of a feature that is not built stands here as unavailable, so it is told apart from a misspelling.
 */
#include "frontend/config.h"
#include "frontend/gate.h"
#include "frontend/option.h"
#include "protocols/login.h"

#define WORKER  SECTION_WORKER
#define AUTH    SECTION_AUTH
#define MONITOR SECTION_MONITOR
#define BOTH    (SECTION_WORKER | SECTION_AUTH)
#define POOLS   (SECTION_WORKER | SECTION_MONITOR) /* who connects to the servers */
#define KEEPER  SECTION_KEEPER
#define TOKEN   SECTION_TOKEN
#define EVERY   (SECTION_WORKER | SECTION_AUTH | SECTION_KEEPER | SECTION_MONITOR | SECTION_TOKEN)
#define DAY     86400
#define WEEK    604800
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define SOURCE                                                                                     \
	{                                                                                          \
		.name = "source", .type = OPTION_SOURCE, .flags = OPTION_INTERNAL,                 \
		.sections = POOLS                                                                  \
	}
#define MISSING(option, kind)                                                                      \
	{                                                                                          \
		.name = option, .type = kind, .flags = OPTION_UNAVAILABLE                          \
	}

static const struct option_word protocols[] = {
	{ "submission", PROTOCOL_SUBMISSION, false },
	{ "imap", PROTOCOL_IMAP, false },
	{ "pop3", PROTOCOL_POP3, false },
	{ NULL, 0, false },
};

static const struct option_word listener_tls[] = {
	{ "starttls", LISTENER_STARTTLS, false },
	{ "implicit", LISTENER_IMPLICIT, false },
	{ NULL, 0, false },
};

static const struct option_word ocsp_modes[] = {
	{ "off", OCSP_OFF, false },
	{ "file", OCSP_FILE, false },
	{ "fetch", OCSP_FETCH, false },
	{ NULL, 0, false },
};
static const struct option_word unknown_sni[] = {
	{ "default", UNKNOWN_SNI_DEFAULT, false },
	{ "refuse", UNKNOWN_SNI_REFUSE, false },
	{ NULL, 0, false },
};

static const struct option_word backend_tls[] = {
	{ "none", BACKEND_TLS_NONE, false },
	{ "starttls", BACKEND_TLS_STARTTLS, false },
	{ "implicit", BACKEND_TLS_IMPLICIT, false },
	{ NULL, 0, false },
};

static const struct option_word backend_verify[] = {
	{ "ca", VERIFY_CA, false }, { "none", VERIFY_NONE, false },
	{ "pin", 0, true },         { "dane", 0, true },
	{ NULL, 0, false },
};

static const struct option_word key_words[] = {
	{ "pkcs11", OPTION_WORD_PREFIX, false },
	{ NULL, 0, false },
};

static const struct option_word logins[] = {
	{ "password", LOGIN_MODE_PASSWORD, false },
	{ "master", LOGIN_MODE_MASTER, false },
	{ "xclient", LOGIN_MODE_XCLIENT, false },
	{ "external", 0, true },
	{ "token", 0, true },
	{ NULL, 0, false },
};

#define LISTENER_PROFILES                                                                          \
	{ "modern", PROFILE_MODERN, false }, { "strict", PROFILE_STRICT, false },                  \
		{ "nist", PROFILE_NIST, false }, { "ncsc", PROFILE_NCSC, false },                  \
	{                                                                                          \
		"tes", PROFILE_TES, false                                                          \
	}
static const struct option_word profiles[] = { LISTENER_PROFILES, { NULL, 0, false } };
static const struct option_word pool_profiles[] = {
	LISTENER_PROFILES,
	{ "compatible", PROFILE_COMPATIBLE, false },
	{ "legacy", PROFILE_LEGACY, false },
	{ NULL, 0, false },
};
static const struct option_word alpn_modes[] = {
	{ "strict", GATE_ALPN_STRICT, false },
	{ "require", GATE_ALPN_REQUIRE, false },
	{ "compat", GATE_ALPN_COMPAT, false },
	{ NULL, 0, false },
};
static const struct option_word client_modes[] = {
	{ "off", CLIENT_CERTIFICATES_OFF, false },
	{ "optional", CLIENT_CERTIFICATES_OPTIONAL, false },
	{ "required", CLIENT_CERTIFICATES_REQUIRED, false },
	{ NULL, 0, false },
};
static const struct option_word client_identities[] = {
	{ "email", CLIENT_IDENTITY_EMAIL, false },
	{ "san_uri", 0, true },
	{ NULL, 0, false },
};
static const struct option_word auth_sources[] = {
	{ "backend", AUTH_SOURCE_BACKEND, false },
	{ "sasl", AUTH_SOURCE_SASL, false },
	{ NULL, 0, false },
};
static const struct option_word log_formats[] = {
	{ "logfmt", LOG_FORMAT_LOGFMT, false },
	{ "json", LOG_FORMAT_JSON, false },
	{ NULL, 0, false },
};
static const struct option_word log_targets[] = {
	{ "stderr", OPTION_WORD_ALONE, false },
	{ "syslog", OPTION_WORD_PATH, false },
	{ "journald", OPTION_WORD_PATH, false },
	{ NULL, 0, false },
};
static const struct option_word log_levels[] = {
	{ "debug", LOG_LEVEL_DEBUG, false },
	{ "info", LOG_LEVEL_INFO, false },
	{ "warning", LOG_LEVEL_WARNING, false },
	{ "error", LOG_LEVEL_ERROR, false },
	{ NULL, 0, false },
};

#define AT(member) offsetof(struct config_certificate, member)
static const struct option certificate_rows[] = {
	SOURCE,
	{ .name = "chain",
	  .type = OPTION_PATH,
	  .offset = AT(chain),
	  .flags = OPTION_REQUIRED,
	  .min = 1,
	  .max = 4096,
	  .help = "PEM file with the certificate, then the intermediate ones." },
	{ .name = "key",
	  .type = OPTION_PATH,
	  .offset = AT(key),
	  .flags = OPTION_REQUIRED,
	  .min = 1,
	  .max = 4096,
	  .words = key_words,
	  .help = "PEM file with its private key, not encrypted; nobody but its owner should be "
		  "able to read it. Or `pkcs11:...`: it is [in a token](#keys-in-tokens)." },
	{ .name = "ocsp",
	  .type = OPTION_PATH,
	  .offset = AT(ocsp),
	  .min = 1,
	  .max = 4096,
	  .shown = "`chain` with `.ocsp` behind it, if there is one",
	  .help = "File with the answer of the certificate's OCSP responder, DER." },
	{ .name = "default",
	  .type = OPTION_BOOL,
	  .offset = AT(is_default),
	  .help = "Shown to clients that name no host, and to those that name an unknown one as "
		  "`unknown_sni` says; of several, the first; without any, the first of all." },
	END,
};
#undef AT

/* Of a struct with `client_certificates` in it; what a listener does not set is as in `tls`. */
#define CLIENT_CERTIFICATES(owner, member, seen_by)                                                \
	{ .name = "mode",                                                                          \
	  .type = OPTION_WORD,                                                                     \
	  .offset = offsetof(struct owner, member.mode),                                           \
	  .sections = seen_by,                                                                     \
	  .words = client_modes,                                                                   \
	  .help = "Whether clients are asked for a certificate: `off`, `optional`: one that is "   \
		  "none of `ca`, or none at all, takes nothing away; `required`: without a good "  \
		  "one there is no handshake." },                                                  \
		{ .name = "ca",                                                                    \
		  .type = OPTION_PATH,                                                             \
		  .offset = offsetof(struct owner, member.ca),                                     \
		  .min = 1,                                                                        \
		  .max = 4096,                                                                     \
		  .shown = "none",                                                                 \
		  .help = "PEM file with the authorities that issue them, up to the self-signed "  \
			  "one; needed unless `mode` is `off`." },                                 \
		{ .name = "crl",                                                                   \
		  .type = OPTION_PATH,                                                             \
		  .offset = offsetof(struct owner, member.crl),                                    \
		  .min = 1,                                                                        \
		  .max = 4096,                                                                     \
		  .shown = "none",                                                                 \
		  .help = "PEM file with their revocation lists, one of each authority on the "    \
			  "way: where one is missing or out of date, no certificate is good." },   \
		{ .name = "identity",                                                              \
		  .type = OPTION_WORD,                                                             \
		  .offset = offsetof(struct owner, member.identity),                               \
		  .sections = seen_by,                                                             \
		  .words = client_identities,                                                      \
		  .help = "What names the user, unless there is `users`; `email`: the one "        \
			  "address (rfc822Name) in the certificate." },                            \
		{ .name = "users",                                                                 \
		  .type = OPTION_PATH,                                                             \
		  .offset = offsetof(struct owner, member.users),                                  \
		  .min = 1,                                                                        \
		  .max = 4096,                                                                     \
		  .shown = "none",                                                                 \
		  .help = "File that names the users: lines of what a certificate is known by "    \
			  "(its SHA-256, an address in it or its subject), blanks, and the "       \
			  "user." },                                                               \
		{ .name = "ca_pem",                                                                \
		  .type = OPTION_BLOB,                                                             \
		  .offset = offsetof(struct owner, member.ca_pem),                                 \
		  .flags = OPTION_INTERNAL,                                                        \
		  .sections = seen_by },                                                           \
		{ .name = "crl_pem",                                                               \
		  .type = OPTION_BLOB,                                                             \
		  .offset = offsetof(struct owner, member.crl_pem),                                \
		  .flags = OPTION_INTERNAL,                                                        \
		  .sections = seen_by },                                                           \
		{ .name = "users_text",                                                            \
		  .type = OPTION_BLOB,                                                             \
		  .offset = offsetof(struct owner, member.users_text),                             \
		  .flags = OPTION_INTERNAL,                                                        \
		  .sections = seen_by },                                                           \
		END
static const struct option client_certificate_rows[] = {
	CLIENT_CERTIFICATES(config, tls.client_certificates, 0)
};

#define AT(member) offsetof(struct config_listener, member)
static const struct option listener_client_rows[] = {
	CLIENT_CERTIFICATES(config_listener, client_certificates, WORKER)
};
static const struct option listener_rows[] = {
	SOURCE,
	{ .name = "protocol",
	  .type = OPTION_WORD,
	  .offset = AT(protocol),
	  .flags = OPTION_REQUIRED,
	  .sections = WORKER,
	  .words = protocols,
	  .help = "What clients speak here." },
	{ .name = "address",
	  .type = OPTION_STRING,
	  .offset = AT(address),
	  .flags = OPTION_REQUIRED,
	  .sections = WORKER,
	  .min = 1,
	  .max = 64,
	  .help = "Numeric IPv4 or IPv6 address; `::` means every IPv6 address and no IPv4 one." },
	{ .name = "port",
	  .type = OPTION_INT,
	  .offset = AT(port),
	  .flags = OPTION_REQUIRED,
	  .sections = WORKER,
	  .min = 0,
	  .max = 65535,
	  .help = "Port; 0 takes a free one, which the event `ready` names. Never 25." },
	{ .name = "tls",
	  .type = OPTION_WORD,
	  .offset = AT(tls),
	  .flags = OPTION_REQUIRED,
	  .sections = WORKER,
	  .words = listener_tls,
	  .help = "`implicit` (465, 993, 995) or `starttls` (587, 143, 110), where nothing but the "
		  "upgrade is possible in clear text." },
	{ .name = "profile",
	  .type = OPTION_WORD,
	  .offset = AT(profile),
	  .sections = WORKER,
	  .words = profiles,
	  .number = PROFILE_MODERN,
	  .shown = "`tls.profile`",
	  .help = "As `tls.profile`, for this listener." },
	{ .name = "alpn",
	  .type = OPTION_WORD,
	  .offset = AT(alpn),
	  .sections = WORKER,
	  .words = alpn_modes,
	  .number = GATE_ALPN_STRICT,
	  .shown = "`tls.alpn`",
	  .help = "As `tls.alpn`, for this listener." },
	{ .name = "certificates",
	  .type = OPTION_LIST,
	  .offset = AT(certificates),
	  .min = 1,
	  .max = CONFIG_CERTIFICATES_MAX,
	  .rows = certificate_rows,
	  .size = sizeof(struct config_certificate),
	  .help = "As `tls.certificates`; what a listener has of its own, here and in "
		  "`certificates_dir`, takes the place of all that `tls` has." },
	{ .name = "certificates_dir",
	  .type = OPTION_PATH,
	  .offset = AT(certificates_dir.path),
	  .min = 1,
	  .max = 4096,
	  .help = "As `tls.certificates_dir`." },
	{ .name = "unknown_sni",
	  .type = OPTION_WORD,
	  .offset = AT(unknown_sni),
	  .sections = WORKER,
	  .words = unknown_sni,
	  .shown = "`tls.unknown_sni`",
	  .help = "As `tls.unknown_sni`, for this listener." },
	{ .name = "set",
	  .type = OPTION_INT,
	  .offset = AT(set),
	  .flags = OPTION_INTERNAL,
	  .sections = WORKER,
	  .min = 0,
	  .max = CONFIG_LISTENERS_MAX },
	{ .name = "client_certificates",
	  .type = OPTION_GROUP,
	  .sections = WORKER,
	  .rows = listener_client_rows,
	  .help = "As `tls.client_certificates`, for this listener; what is not set here is as "
		  "there." },
	{ .name = "bind",
	  .type = OPTION_ADDRESS,
	  .offset = AT(bind),
	  .flags = OPTION_INTERNAL,
	  .sections = WORKER },
	END,
};
#undef AT

#define AT(member) offsetof(struct config_server, member)
static const struct option server_rows[] = {
	SOURCE,
	{ .name = "host",
	  .type = OPTION_STRING,
	  .offset = AT(host),
	  .flags = OPTION_REQUIRED,
	  .sections = POOLS,
	  .min = 1,
	  .max = 255,
	  .help = "Name or address of the server, or the path of a Unix socket; a name is looked "
		  "up at start and again every `monitor.interval`, and all of its addresses are "
		  "tried." },
	{ .name = "port",
	  .type = OPTION_INT,
	  .offset = AT(port),
	  .sections = POOLS,
	  .min = 1,
	  .max = 65535,
	  .shown = "none",
	  .help = "Its port; required unless `host` is a Unix socket." },
	{ .name = "name",
	  .type = OPTION_STRING,
	  .offset = AT(name),
	  .sections = POOLS,
	  .min = 1,
	  .max = 255,
	  .text = "",
	  .shown = "`host`",
	  .help = "The name that its certificate must carry, also sent as SNI." },
	{ .name = "resolved",
	  .type = OPTION_ADDRESS,
	  .offset = AT(address),
	  .flags = OPTION_INTERNAL,
	  .sections = POOLS },
	END,
};
#undef AT

#define AT(member) offsetof(struct config_pool, member)
static const struct option pool_rows[] = {
	SOURCE,
	{ .name = "name",
	  .type = OPTION_STRING,
	  .offset = AT(name),
	  .flags = OPTION_REQUIRED,
	  .sections = POOLS,
	  .min = 1,
	  .max = 64,
	  .help = "How routes and the log call this pool." },
	{ .name = "protocol",
	  .type = OPTION_WORD,
	  .offset = AT(protocol),
	  .flags = OPTION_REQUIRED,
	  .sections = POOLS,
	  .words = protocols,
	  .help = "What its servers speak." },
	{ .name = "servers",
	  .type = OPTION_LIST,
	  .offset = AT(servers),
	  .flags = OPTION_REQUIRED,
	  .sections = POOLS,
	  .min = 1,
	  .max = CONFIG_SERVERS_MAX,
	  .rows = server_rows,
	  .size = sizeof(struct config_server),
	  .help = "Its servers, tried in this order; those known to be down come last." },
	{ .name = "tls",
	  .type = OPTION_WORD,
	  .offset = AT(tls),
	  .flags = OPTION_REQUIRED,
	  .sections = POOLS,
	  .words = backend_tls,
	  .help = "TLS towards the servers: `implicit`, `starttls` (required, never skipped) or "
		  "`none` (loopback and Unix sockets only, unless `plaintext_ok`)." },
	{ .name = "verify",
	  .type = OPTION_WORD,
	  .offset = AT(verify),
	  .sections = POOLS,
	  .words = backend_verify,
	  .number = VERIFY_CA,
	  .help = "`ca`: the certificate must come from a known authority and carry the server's "
		  "name; `none`: any certificate will do." },
	{ .name = "profile",
	  .type = OPTION_WORD,
	  .offset = AT(profile),
	  .sections = POOLS,
	  .words = pool_profiles,
	  .number = PROFILE_COMPATIBLE,
	  .help = "As `tls.profile`, for the way to the servers; `compatible`: TLS 1.3 and 1.2 "
		  "with "
		  "every suite that keeps forward secrecy; `legacy`: as low as the TLS library "
		  "goes." },
	{ .name = "ca",
	  .type = OPTION_PATH,
	  .offset = AT(ca),
	  .sections = POOLS,
	  .min = 1,
	  .max = 4096,
	  .text = "/etc/ssl/certs/ca-certificates.crt",
	  .help = "PEM file of the known authorities." },
	{ .name = "plaintext_ok",
	  .type = OPTION_BOOL,
	  .offset = AT(plaintext_ok),
	  .sections = POOLS,
	  .help = "Allows `tls = \"none\"` over a network; passwords and mail can then be read on "
		  "the way to the server." },
	{ .name = "login",
	  .type = OPTION_WORD,
	  .offset = AT(login),
	  .sections = POOLS,
	  .words = logins,
	  .help = "How to log in there. `password`: with what the user gave; `master`: as "
		  "`master_user` on behalf of the user (SASL PLAIN); `xclient`: the server takes "
		  "our word for it (XCLIENT LOGIN; submission only). The latter two need "
		  "`auth.source = \"sasl\"`, the first `\"backend\"`." },
	{ .name = "master_user",
	  .type = OPTION_STRING,
	  .offset = AT(master_user),
	  .sections = WORKER,
	  .min = 1,
	  .max = 255,
	  .help = "Who logs in on behalf of users with `login = \"master\"`." },
	{ .name = "master_password_file",
	  .type = OPTION_PATH,
	  .offset = AT(master_password_file),
	  .min = 1,
	  .max = 4096,
	  .help = "File with its password, one line; only its owner may have any right to it, "
		  "and that is root or whoever starts Postern." },
	{ .name = "capabilities",
	  .type = OPTION_STRINGS,
	  .offset = AT(capabilities),
	  .sections = POOLS,
	  .max = 16,
	  .help = "What the servers can do, shown before login in place of what they were found to "
		  "offer: of submission `SIZE n`, `8BITMIME`, `SMTPUTF8`, `DSN`, `CHUNKING`, "
		  "`BINARYMIME`, `ENHANCEDSTATUSCODES`; of POP3 `TOP`, `UIDL`, `RESP-CODES`." },
	{ .name = "ca_pem",
	  .type = OPTION_BLOB,
	  .offset = AT(ca_pem),
	  .flags = OPTION_INTERNAL,
	  .sections = POOLS },
	{ .name = "master_password",
	  .type = OPTION_BLOB,
	  .offset = AT(master_password),
	  .flags = OPTION_INTERNAL | OPTION_SECRET,
	  .sections = SECTION_LOGIN },
	END,
};
#undef AT

#define AT(member) offsetof(struct config_route, member)
#define ROUTE(protocol, id, line)                                                                  \
	{ .name = protocol,                                                                        \
	  .type = OPTION_STRING,                                                                   \
	  .offset = AT(names[id]),                                                                 \
	  .sections = POOLS,                                                                       \
	  .min = 1,                                                                                \
	  .max = 64,                                                                               \
	  .help = line },                                                                          \
	{                                                                                          \
		.name = protocol "_pool", .type = OPTION_INT, .offset = AT(pools[id]),             \
		.flags = OPTION_INTERNAL, .sections = POOLS, .min = -1, .max = 63, .number = -1    \
	}
static const struct option route_rows[] = {
	SOURCE,
	ROUTE("submission", PROTOCOL_SUBMISSION, "The pool that takes their mail."),
	ROUTE("imap", PROTOCOL_IMAP, "The pool that serves them IMAP."),
	ROUTE("pop3", PROTOCOL_POP3, "The pool that serves them POP3."),
	END,
};
#undef AT

#define AT(member) offsetof(struct config, member)
static const struct option ticket_rows[] = {
	{ .name = "enabled",
	  .type = OPTION_BOOL,
	  .offset = AT(tls.tickets.enabled),
	  .sections = WORKER | KEEPER,
	  .number = true,
	  .help = "Clients may resume a session with a ticket, which spares both sides a "
		  "signature; they log in all the same." },
	{ .name = "rotate",
	  .type = OPTION_INT,
	  .offset = AT(tls.tickets.rotate),
	  .sections = WORKER | KEEPER,
	  .min = 2,
	  .max = WEEK / 2,
	  .number = 43200,
	  .help = "Seconds for which a ticket is good at most, and after which another key seals "
		  "new ones; the one before opens for as long again, then it is wiped." },
	{ .name = "file",
	  .type = OPTION_PATH,
	  .offset = AT(tls.tickets.file),
	  .sections = KEEPER,
	  .min = 1,
	  .max = 4096,
	  .help = "File of keys in place of our own, so that several machines share them: up to "
		  "three lines, each of 48 random octets in base64; the first seals, all open. It "
		  "is watched, and changing it in time is then the operator's part; nobody but "
		  "its owner may have any right to it." },
	END,
};

static const struct option pkcs11_rows[] = {
	{ .name = "module",
	  .type = OPTION_PATH,
	  .offset = AT(tls.pkcs11.module),
	  .sections = TOKEN,
	  .min = 1,
	  .max = 4096,
	  .help = "The tokens' PKCS#11 library, loaded by a process of its own." },
	{ .name = "pin_file",
	  .type = OPTION_PATH,
	  .offset = AT(tls.pkcs11.pin_file),
	  .min = 1,
	  .max = 4096,
	  .help = "File with their user PIN, one line; only its owner may have any right to it, "
		  "and "
		  "that is root or whoever starts Postern. Without it nobody logs in to them." },
	{ .name = "pin",
	  .type = OPTION_BLOB,
	  .offset = AT(tls.pkcs11.pin),
	  .flags = OPTION_INTERNAL | OPTION_SECRET,
	  .sections = TOKEN },
	END,
};

static const struct option tls_rows[] = {
	{ .name = "certificates",
	  .type = OPTION_LIST,
	  .offset = AT(tls.certificates),
	  .min = 1,
	  .max = CONFIG_CERTIFICATES_MAX,
	  .rows = certificate_rows,
	  .size = sizeof(struct config_certificate),
	  .help = "The certificates of every listener that has none of its own, chosen by the "
		  "name that a client asks for; for one name there may be one of each kind of "
		  "key." },
	{ .name = "certificates_dir",
	  .type = OPTION_PATH,
	  .offset = AT(tls.certificates_dir.path),
	  .min = 1,
	  .max = 4096,
	  .help = "Folder of further ones: folders with `fullchain.pem` and `privkey.pem` in each, "
		  "or files `NAME.pem` (or `.crt`) with `NAME.key`, `NAME.ocsp` beside them." },
	{ .name = "unknown_sni",
	  .type = OPTION_WORD,
	  .offset = AT(tls.unknown_sni),
	  .sections = WORKER,
	  .words = unknown_sni,
	  .help = "What a client gets that asks for a name that no certificate has: the `default` "
		  "certificate, or `refuse`." },
	{ .name = "profile",
	  .type = OPTION_WORD,
	  .offset = AT(tls.profile),
	  .sections = WORKER,
	  .words = profiles,
	  .number = PROFILE_MODERN,
	  .help = "Versions, suites, groups, signatures and keys of every listener that has no "
		  "`profile` of its own; see [TLS profiles](#tls-profiles)." },
	{ .name = "alpn",
	  .type = OPTION_WORD,
	  .offset = AT(tls.alpn),
	  .sections = WORKER,
	  .words = alpn_modes,
	  .number = GATE_ALPN_STRICT,
	  .help = "Application protocols that a client may name (ALPN). `strict`: none, or `imap` "
		  "(`pop3`) among them; `require`: not none (IMAP and POP3 only); `compat`: also "
		  "names that belong to no protocol." },
	{ .name = "tickets",
	  .type = OPTION_GROUP,
	  .sections = WORKER | KEEPER,
	  .rows = ticket_rows,
	  .help = "Resumption of TLS sessions (RFC 8446 2.2, RFC 5077)." },
	{ .name = "client_certificates",
	  .type = OPTION_GROUP,
	  .rows = client_certificate_rows,
	  .help = "Certificates that clients log in with." },
	{ .name = "pkcs11",
	  .type = OPTION_GROUP,
	  .sections = TOKEN,
	  .rows = pkcs11_rows,
	  .help = "Private keys in tokens; see [Keys in tokens](#keys-in-tokens)." },
	{ .name = "ocsp",
	  .type = OPTION_WORD,
	  .offset = AT(tls.ocsp),
	  .sections = WORKER | MONITOR,
	  .words = ocsp_modes,
	  .number = OCSP_FILE,
	  .help = "OCSP responses to staple: from a `file` beside the certificate; or also `fetch` "
		  "them from the authority's responder, where the certificate names one by "
		  "`http://`; `off`: none." },
	{ .name = "ocsp_place",
	  .type = OPTION_SOURCE,
	  .offset = AT(tls.ocsp_place),
	  .flags = OPTION_INTERNAL,
	  .sections = WORKER },
	END,
};

static const struct option process_rows[] = {
	{ .name = "min",
	  .type = OPTION_INT,
	  .offset = AT(auth.processes_min),
	  .min = 1,
	  .max = CONFIG_AUTH_PROCESSES_MAX,
	  .number = 2,
	  .help = "Always there." },
	{ .name = "max",
	  .type = OPTION_INT,
	  .offset = AT(auth.processes_max),
	  .min = 1,
	  .max = CONFIG_AUTH_PROCESSES_MAX,
	  .number = 8,
	  .help = "Started one by one while logins wait; what is not needed any more ends." },
	{ .name = "idle",
	  .type = OPTION_INT,
	  .offset = AT(auth.processes_idle),
	  .sections = AUTH,
	  .min = 1,
	  .max = WEEK,
	  .number = 60,
	  .help = "Seconds without a request after which one beyond `min` ends." },
	END,
};

static const struct option auth_rows[] = {
	{ .name = "source",
	  .type = OPTION_WORD,
	  .offset = AT(auth.source),
	  .sections = BOTH,
	  .words = auth_sources,
	  .help = "Who decides whether a password is right; `backend`: the server's answer; "
		  "`sasl`: Cyrus SASL, by `auth.sasl`." },
	{ .name = "mechanisms",
	  .type = OPTION_STRINGS,
	  .offset = AT(auth.mechanisms),
	  .sections = BOTH,
	  .min = 1,
	  .max = 16,
	  .text = "PLAIN LOGIN",
	  .help = "SASL mechanisms that clients are offered inside TLS: `PLAIN`, `LOGIN`; with "
		  "`source = \"sasl\"` also `SCRAM-SHA-256`, `SCRAM-SHA-512`, `SCRAM-SHA-1` and "
		  "others "
		  "that plugins of Cyrus SASL bring. IMAP's LOGIN and POP3's USER need one of the "
		  "first two." },
	{ .name = "sasl",
	  .type = OPTION_MAP,
	  .offset = AT(auth.sasl),
	  .flags = OPTION_SECRET,
	  .sections = AUTH,
	  .max = 64,
	  .help = "Options of Cyrus SASL, handed on as they are: `pwcheck_method`, "
		  "`auxprop_plugin` (one of the two is required), `sasldb_path`, "
		  "`saslauthd_path`, `sql_...`, `ldapdb_...`, `log_level` and the rest. With "
		  "`source = \"sasl\"` only." },
	{ .name = "processes",
	  .type = OPTION_GROUP,
	  .sections = AUTH,
	  .rows = process_rows,
	  .help = "The processes that ask Cyrus SASL." },
	{ .name = "place",
	  .type = OPTION_SOURCE,
	  .offset = AT(auth.place),
	  .flags = OPTION_INTERNAL,
	  .sections = AUTH },
	MISSING("delegates", OPTION_STRINGS),
	END,
};

#define LIMIT(option, member, who, least, most, usual, line)                                       \
	{                                                                                          \
		.name = option, .type = OPTION_INT, .offset = AT(limits.member), .sections = who,  \
		.min = least, .max = most, .number = usual, .help = line                           \
	}
static const struct option limit_rows[] = {
	LIMIT("handshake_timeout", handshake_timeout, WORKER, 1, WEEK, 15,
	      "Seconds for a TLS handshake with a client."),
	LIMIT("preauth_timeout", preauth_timeout, WORKER, 1, WEEK, 60,
	      "Seconds from accept to login, however busy the client is."),
	LIMIT("backend_timeout", backend_timeout, POOLS, 1, WEEK, 20,
	      "Seconds to reach a server and log in there, however many are tried."),
	LIMIT("connect_timeout", connect_timeout, POOLS, 1, WEEK, 5,
	      "Seconds for a server to be ready for the login (connection, TLS, greeting) before "
	      "the next one is tried."),
	LIMIT("idle_timeout", idle_timeout, WORKER, 1, WEEK, 1860,
	      "Seconds without a byte after which a session ends; IMAP promises its clients 30 "
	      "minutes."),
	LIMIT("drain_timeout", drain_timeout, WORKER, 0, WEEK, 30,
	      "Seconds that sessions have to end after SIGTERM."),
	LIMIT("auth_timeout", auth_timeout, BOTH, 1, WEEK, 10,
	      "Seconds for one step of authentication."),
	LIMIT("max_sessions", max_sessions, WORKER, 0, 1000000, 0,
	      "Sessions at a time; 0: as many as there are descriptors for."),
	LIMIT("max_sessions_per_address", max_sessions_per_address, WORKER, 0, 1000000, 100,
	      "Sessions at a time of one client address (of IPv6: of its /64); 0: no limit."),
	LIMIT("max_auth_failures", max_auth_failures, WORKER, 1, 1000, 3,
	      "Failed logins after which a session ends."),
	LIMIT("max_refused_commands", max_refused_commands, WORKER, 1, 10000, 10,
	      "Refused commands after which a session ends."),
	LIMIT("failure_delay_ms", failure_delay, WORKER, 0, 60000, 1000,
	      "Milliseconds before the reply to a failed login; doubles with each in the session."),
	LIMIT("failure_delay_max_ms", failure_delay_max, WORKER, 0, 60000, 8000,
	      "Milliseconds that this delay grows to."),
	LIMIT("smtp_line", smtp_line, WORKER, 512, 16384, 2000, "Octets of a submission command."),
	LIMIT("imap_line", imap_line, WORKER, 512, 65536, 8192,
	      "Octets of an IMAP command before login, without its literals."),
	LIMIT("pop3_line", pop3_line, WORKER, 255, 16384, 512,
	      "Octets of a POP3 command before login."),
	LIMIT("sasl_line", sasl_line, BOTH, 512, 16384, 16384,
	      "Octets of a line that carries a SASL response."),
	LIMIT("imap_literals", imap_literals, WORKER, 256, 32768, 16384,
	      "Octets of all literals of an IMAP command before login."),
	{ .name = "exempt",
	  .type = OPTION_NETWORKS,
	  .offset = AT(limits.exempt),
	  .sections = WORKER,
	  .max = 1024,
	  .help = "Networks whose sessions are counted but never refused." },
	END,
};

#define GUESSING(option, member, least, most, usual, line)                                         \
	{                                                                                          \
		.name = option, .type = OPTION_INT, .offset = AT(guessing.member),                 \
		.sections = WORKER, .min = least, .max = most, .number = usual, .help = line       \
	}
static const struct option guessing_rows[] = {
	GUESSING("window", window, 6, DAY, 600, "Seconds that a failed login counts."),
	GUESSING("delay_from", delay_from, 0, 4000, 5,
		 "Failed logins of an address (of IPv6: of its /64) from which on its further ones "
		 "are delayed; of the network around it (/24, /48) eight times as many; 0: never."),
	GUESSING("refuse_from", refuse_from, 0, 4000, 20,
		 "Failed logins of an address from which on its further ones are refused for now; "
		 "users who have logged in from there before are not; 0: never."),
	GUESSING("user_delay_from", user_delay_from, 0, 4000, 10,
		 "Failed logins of a user, from anywhere, from which on those from places where "
		 "the user has not been before are delayed; 0: never."),
	GUESSING("delay_ms", delay, 0, 60000, 1000,
		 "Milliseconds of the first such delay; doubles with each failed login."),
	GUESSING("delay_max_ms", delay_max, 0, 60000, 8000,
		 "Milliseconds that this delay grows to."),
	{ .name = "exempt",
	  .type = OPTION_NETWORKS,
	  .offset = AT(guessing.exempt),
	  .sections = WORKER,
	  .max = 1024,
	  .shown = "`limits.exempt`",
	  .help = "Networks whose addresses are never delayed or refused, as that of a webmail "
		  "server, behind which are all users." },
	END,
};

static const struct option monitor_rows[] = {
	{ .name = "interval",
	  .type = OPTION_INT,
	  .offset = AT(monitor.interval),
	  .sections = POOLS,
	  .min = 0,
	  .max = WEEK,
	  .number = 30,
	  .help = "Seconds between two looks at a server and its name; 0: never." },
	{ .name = "retry",
	  .type = OPTION_INT,
	  .offset = AT(monitor.retry),
	  .sections = POOLS,
	  .min = 1,
	  .max = WEEK,
	  .number = 10,
	  .help = "Seconds until a server that is down is looked at again, and for which a server "
		  "that failed a login is tried after the others." },
	END,
};

static const struct option status_rows[] = {
	{ .name = "address",
	  .type = OPTION_STRING,
	  .offset = AT(status.address),
	  .sections = MONITOR,
	  .min = 1,
	  .max = 64,
	  .text = "127.0.0.1",
	  .help = "Numeric address where `/metrics` and `/healthz` are served; one that is not "
		  "loopback needs `allow`." },
	{ .name = "port",
	  .type = OPTION_INT,
	  .offset = AT(status.port),
	  .sections = POOLS,
	  .min = 1,
	  .max = 65535,
	  .shown = "none",
	  .help = "Port; required where `status` is given." },
	{ .name = "allow",
	  .type = OPTION_NETWORKS,
	  .offset = AT(status.allow),
	  .sections = MONITOR,
	  .max = 1024,
	  .help = "Networks that may connect there; none given: loopback alone." },
	{ .name = "bind",
	  .type = OPTION_ADDRESS,
	  .offset = AT(status.bind),
	  .flags = OPTION_INTERNAL,
	  .sections = MONITOR },
	{ .name = "source",
	  .type = OPTION_SOURCE,
	  .offset = AT(status.source),
	  .flags = OPTION_INTERNAL,
	  .sections = POOLS },
	END,
};

static const struct option log_rows[] = {
	{ .name = "target",
	  .type = OPTION_PATH,
	  .offset = AT(log.target),
	  .min = 1,
	  .max = 4096,
	  .text = "stderr",
	  .words = log_targets,
	  .help = "`stderr`; `syslog` or `journald`, with `:/path` where the daemon's socket is "
		  "not at its usual place; or a file to append to." },
	{ .name = "format",
	  .type = OPTION_WORD,
	  .offset = AT(log.format),
	  .words = log_formats,
	  .help = "`logfmt`: key=value pairs, an event a line; `json`: the same keys in an object "
		  "a line." },
	{ .name = "level",
	  .type = OPTION_WORD,
	  .offset = AT(log.level),
	  .sections = EVERY,
	  .words = log_levels,
	  .number = LOG_LEVEL_INFO,
	  .help = "The least level that is written." },
	END,
};

const struct option option_table[] = {
	{ .name = "hostname",
	  .type = OPTION_STRING,
	  .offset = AT(hostname),
	  .sections = POOLS | AUTH,
	  .min = 1,
	  .max = 255,
	  .text = "",
	  .shown = "the system's",
	  .help = "The name in greetings, and in EHLO to the servers." },
	{ .name = "user",
	  .type = OPTION_STRING,
	  .offset = AT(user),
	  .min = 1,
	  .max = 32,
	  .flags = OPTION_RESTART,
	  .shown = "`postern`, else `nobody`",
	  .help = "Whom the workers run as when started by root; otherwise ignored." },
	{ .name = "auth_user",
	  .type = OPTION_STRING,
	  .offset = AT(auth_user),
	  .min = 1,
	  .max = 32,
	  .flags = OPTION_RESTART,
	  .shown = "`user`",
	  .help = "Whom the authentication processes run as; a user of its own is advised." },
	{ .name = "keeper_user",
	  .type = OPTION_STRING,
	  .offset = AT(keeper_user),
	  .min = 1,
	  .max = 32,
	  .flags = OPTION_RESTART,
	  .shown = "`user`",
	  .help = "Whom the keeper of the private keys runs as, and the process that asks tokens; "
		  "a "
		  "user of its own is advised." },
	{ .name = "workers",
	  .type = OPTION_INT,
	  .offset = AT(workers),
	  .min = 0,
	  .max = 256,
	  .flags = OPTION_RESTART,
	  .sections = POOLS,
	  .help = "Worker processes; 0: one per core." },
	{ .name = "pid_file",
	  .type = OPTION_PATH,
	  .offset = AT(pid_file),
	  .min = 1,
	  .max = 4096,
	  .flags = OPTION_RESTART,
	  .help = "File for the process id of the supervisor." },
	{ .name = "seccomp",
	  .type = OPTION_BOOL,
	  .offset = AT(seccomp),
	  .flags = OPTION_RESTART,
	  .sections = WORKER | KEEPER,
	  .number = true,
	  .help = "Workers and the keeper may make only the system calls that `postern --syscalls` "
		  "shows, and are killed at any other; false is for debugging." },
	{ .name = "tls",
	  .type = OPTION_GROUP,
	  .sections = WORKER | KEEPER | MONITOR | TOKEN,
	  .rows = tls_rows,
	  .help = "TLS towards clients, for all listeners." },
	{ .name = "listeners",
	  .type = OPTION_LIST,
	  .offset = AT(listeners),
	  .sections = WORKER,
	  .shown = "required",
	  .min = 1,
	  .max = CONFIG_LISTENERS_MAX,
	  .rows = listener_rows,
	  .size = sizeof(struct config_listener),
	  .help = "Where clients connect; at least one." },
	{ .name = "auth",
	  .type = OPTION_GROUP,
	  .sections = BOTH,
	  .rows = auth_rows,
	  .help = "How users prove who they are." },
	{ .name = "backends",
	  .type = OPTION_LIST,
	  .offset = AT(pools),
	  .sections = POOLS,
	  .shown = "required",
	  .min = 1,
	  .max = 64,
	  .rows = pool_rows,
	  .size = sizeof(struct config_pool),
	  .help = "Pools of the servers behind." },
	{ .name = "routes",
	  .type = OPTION_LIST,
	  .offset = AT(routes),
	  .sections = POOLS,
	  .shown = "required",
	  .min = 1,
	  .max = 64,
	  .rows = route_rows,
	  .size = sizeof(struct config_route),
	  .help = "Which pools serve whom; one, which serves everyone, in this version." },
	{ .name = "limits",
	  .type = OPTION_GROUP,
	  .sections = EVERY,
	  .rows = limit_rows,
	  .help = "Timeouts and bounds." },
	{ .name = "guessing",
	  .type = OPTION_GROUP,
	  .sections = WORKER,
	  .rows = guessing_rows,
	  .help = "What failed logins lead to." },
	{ .name = "log",
	  .type = OPTION_GROUP,
	  .sections = EVERY,
	  .rows = log_rows,
	  .help = "Where events go." },
	{ .name = "monitor",
	  .type = OPTION_GROUP,
	  .sections = POOLS,
	  .rows = monitor_rows,
	  .help = "The process that looks after the servers." },
	{ .name = "status",
	  .type = OPTION_GROUP,
	  .sections = POOLS,
	  .rows = status_rows,
	  .shown = "none",
	  .help = "Metrics and health over HTTP." },
	END,
};
