/* config - the configuration as the processes use it: immutable, made by config_load() or config_decode(), freed whole.
 * Invariants: everything hangs in one arena, which is wiped when freed (it may hold passwords); consumers get a
 * const pointer; every value has passed its range and the check of the whole. `source` says where a group stands, for faults.
 */
#ifndef FRONTEND_CONFIG_H
#define FRONTEND_CONFIG_H

#include "frontend/address.h"
#include "frontend/control.h"
#include "frontend/log.h"
#include "frontend/message.h"
#include <stdio.h>

enum protocol_id { PROTOCOL_SUBMISSION, PROTOCOL_IMAP, PROTOCOL_POP3, PROTOCOLS };
enum listener_tls { LISTENER_STARTTLS, LISTENER_IMPLICIT };
enum ocsp_mode { OCSP_FILE, OCSP_OFF, OCSP_FETCH };
enum unknown_sni { UNKNOWN_SNI_DEFAULT, UNKNOWN_SNI_REFUSE };
enum backend_tls { BACKEND_TLS_NONE, BACKEND_TLS_STARTTLS, BACKEND_TLS_IMPLICIT };
enum backend_verify { VERIFY_CA, VERIFY_NONE };
enum auth_source { AUTH_SOURCE_BACKEND, AUTH_SOURCE_SASL };

enum client_certificates_mode {
	CLIENT_CERTIFICATES_OFF,
	CLIENT_CERTIFICATES_OPTIONAL,
	CLIENT_CERTIFICATES_REQUIRED,
};
enum client_identity_kind { CLIENT_IDENTITY_EMAIL };

struct config_source {
	const char *file;
	int line;
};

struct config_blob {
	const uint8_t *data;
	size_t len;
};

struct config_strings {
	const char **items; /* NULL at the end */
	size_t count;
};

/* Names and values that are handed on to a library, in the order of the file. */
struct config_map {
	struct config_named {
		struct config_source source;
		const char *name, *value;
	} * items;
	size_t count;
};

struct config_certificate {
	struct config_source source;
	const char *chain, *key; /* paths */
	const char *ocsp;        /* path of a staple; NULL: beside the chain, if there is one */
	bool is_default;         /* of its set */
};

struct config_folder {
	const char *path; /* NULL: none */
	struct config_source source;
};

struct config_certificates {
	struct config_certificate *items;
	size_t count;
};

struct config_client_certificates {
	int mode;                     /* enum client_certificates_mode */
	int identity;                 /* enum client_identity_kind */
	const char *ca, *crl, *users; /* paths; NULL: not named */
	struct config_blob ca_pem, crl_pem, users_text;
};

struct config_listener {
	struct config_source source;
	int protocol; /* enum protocol_id */
	const char *address;
	int port;                                /* 0: any */
	int tls;                                 /* enum listener_tls */
	int profile;                             /* enum profile_id; default: that of tls */
	int alpn;                                /* enum gate_alpn; the same */
	int unknown_sni;                         /* enum unknown_sni; default: that of tls */
	struct config_certificates certificates; /* none of both: those of tls */
	struct config_folder certificates_dir;
	int set; /* of the book's certificates: 0 those of tls, else 1 + its index; made by the check */
	struct config_client_certificates client_certificates; /* what it does not set: of tls */
	struct address bind; /* made of address and port by the check */
};

struct config_server {
	struct config_source source;
	const char *host;
	int port;
	const char *name; /* in its certificate and as SNI; default: host */
	struct address
		address; /* resolved by config_resolve(); len 0 when the name does not resolve */
};

#define CONFIG_LISTENERS_MAX      64
#define CONFIG_CERTIFICATES_MAX   1024 /* named one by one, of one set */
#define CONFIG_AUTH_PROCESSES_MAX 64
#define CONFIG_SERVERS_MAX        64 /* of one pool, a name with several addresses counting as several */

struct config_pool {
	struct config_source source;
	const char *name;
	int protocol;
	struct {
		struct config_server *items;
		size_t count;
	} servers;
	int tls;     /* enum backend_tls */
	int verify;  /* enum backend_verify */
	int profile; /* enum profile_id */
	const char *
		ca; /* path of a PEM bundle; default: the system's; only read when tls is not "none" and verify is "ca" */
	struct config_blob ca_pem;
	bool plaintext_ok;
	int login;                                      /* enum login_mode */
	const char *master_user, *master_password_file; /* NULL: not named */
	struct config_blob master_password;             /* its content, without the line end */
	struct config_strings capabilities;             /* shown before login */
};

struct config_route {
	struct config_source source;
	const char *names[PROTOCOLS]; /* of pools; NULL: this route does not serve the protocol */
	int pools[PROTOCOLS];         /* index, -1: none; made by the check */
};

struct config_limits {
	int handshake_timeout, preauth_timeout, backend_timeout, idle_timeout,
		drain_timeout;                      /* seconds */
	int connect_timeout;                        /* of one server, while others are left */
	int auth_timeout;                           /* seconds for one step of SASL */
	int max_sessions, max_sessions_per_address; /* 0: no limit */
	int max_auth_failures, max_refused_commands;
	int failure_delay, failure_delay_max;                          /* milliseconds, doubling */
	int smtp_line, imap_line, pop3_line, sasl_line, imap_literals; /* octets */
	struct config_networks exempt;
};

struct config_guessing {
	int window;                                   /* seconds */
	int delay_from, refuse_from, user_delay_from; /* failures; 0: never */
	int delay, delay_max;                         /* milliseconds, doubling */
	struct config_networks exempt;                /* empty: those of limits */
};

struct config {
	struct arena *arena;
	const char *hostname;
	const char *user, *auth_user, *keeper_user; /* NULL: not named */
	int workers;
	const char *pid_file;
	bool seccomp; /* workers may make the calls of syscalls.c only */
	struct {
		struct config_certificates certificates;
		struct config_folder certificates_dir;
		int unknown_sni; /* enum unknown_sni */
		int profile;     /* enum profile_id */
		int alpn;        /* enum gate_alpn */
		struct {
			bool enabled;
			int rotate;       /* seconds */
			const char *file; /* NULL: the keeper makes the keys */
		} tickets;
		struct {
			const char *module, *pin_file; /* NULL: not named */
			struct config_blob pin;        /* its content, without the line end */
		} pkcs11;
		struct config_client_certificates client_certificates;
		int ocsp;                        /* enum ocsp_mode */
		struct config_source ocsp_place; /* where that is set */
	} tls;
	struct {
		struct config_listener *items;
		size_t count;
	} listeners;
	struct {
		int source; /* enum auth_source */
		struct config_strings mechanisms;
		struct config_source place; /* of mechanisms, else of the configuration */
		struct config_map sasl;     /* with AUTH_SOURCE_SASL, for Cyrus SASL */
		int processes_min, processes_max;
		int processes_idle; /* seconds */
	} auth;
	struct {
		struct config_pool *items;
		size_t count;
	} pools;
	struct {
		struct config_route *items;
		size_t count;
	} routes;
	struct config_limits limits;
	struct config_guessing guessing;
	struct {
		int interval, retry; /* seconds; interval 0: servers are not looked at */
	} monitor;
	struct {
		const char *address;
		int port; /* 0: nothing is served */
		struct config_networks allow;
		struct address bind; /* made of address and port by the check */
		struct config_source source;
	} status;
	struct {
		const char *target; /* as log_target_open() takes it */
		int format;         /* enum log_format */
		int level;          /* enum log_level */
	} log;
};

/* Faults found, all of them and not only the first; each with file and line (line 0: the file as a whole). */
struct config_faults {
	struct config_fault {
		char *file, *text;
		int line;
		bool warning;
	} * items;
	size_t count, errors;
};

__attribute__((format(printf, 5, 6))) void config_fault(struct config_faults *, bool warning,
							const char *file, int line,
							const char *format, ...);
void config_faults_cleanup(struct config_faults *);
/* One line each: "FILE:LINE: error: TEXT" or "FILE:LINE: warning: TEXT"; without ":LINE" about a file as a whole. */
void config_faults_print(const struct config_faults *, FILE *);

/* Parses PATH (a file, or a folder's *.conf in name order), checks all, reads CA and password files, resolves the
 * servers' names. NULL when there is any error; the faults then say what. Warnings may be there either way. */
struct config *config_load(const char *path, struct config_faults *);
void config_free(struct config *); /* wipes; NULL is fine */

/* Whether both stand for the same host and port, wherever that leads now. */
bool config_server_same_name(const struct config_server *, const struct config_server *);

/* Options that cannot change without a restart keep the value of `running`. Returns the names of those that would have changed, joined by
 * ", ", in the new configuration's memory; "" if none. */
const char *config_keep_running(struct config *, const struct config *running);

/* The part that a child of that kind may see, appended to a message, and back. CHILD_CHECKER sees what a worker and an auth
 * process see together.
 * config_decode() returns NULL when it is malformed. */
void config_encode(struct message_writer *, const struct config *, enum child_kind);
struct config *config_decode(struct message_reader *, enum child_kind);

/* The table of options as rows of a Markdown table: what README.md shows. */
void config_print_options(FILE *);
/* The same as paragraphs of a manual page (roff). */
void config_print_manual(FILE *);

#endif
