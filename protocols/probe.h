/* probe - asking a server, without any credential, whether it works and what it can do: its greeting, its capabilities, goodbye.
 * Invariants: nothing secret is ever sent; TLS as with a login: with `starttls` a server that does not offer it, refuses it or
 * sends a byte behind its answer has failed, and what it listed before TLS is forgotten. Lines and their number are bounded.
 * RFC 5321 3.1, 3.2, 4.1.1.1, RFC 3207 4 (submission); RFC 9051 6.1.1, 6.2.1, 7.1.4 (IMAP); RFC 2449 5, RFC 2595 4 (POP3).
 */
#ifndef PROTOCOLS_PROBE_H
#define PROTOCOLS_PROBE_H

#include "protocols/extension.h"
#include "protocols/output.h"
#include "protocols/smtp_reply.h"

#define PROBE_LINE_MAX  8192 /* of a server; longer is a failure */
#define PROBE_LINES_MAX 1000
#define PROBE_SAYS_MAX  512 /* enough for all that we say at a time */

enum probe_result {
	PROBE_MORE,      /* send what is in the output, if anything, and wait for more */
	PROBE_START_TLS, /* nothing may be buffered behind; handshake, then probe_tls_started() */
	PROBE_DONE,      /* it works; send our goodbye, which is in the output */
	PROBE_FAILED,    /* `reason` says why */
};

/* What a server said of itself. */
struct probe_facts {
	struct extension_set extensions;
	bool identity; /* it can be told who the client is: XCLIENT, or ID of IMAP */
	bool starttls;
};

struct probe {
	const struct probe_script *script;
	const char *hostname; /* for EHLO */
	bool starttls;        /* required */
	bool tls;             /* STARTTLS has been done */
	int state;
	unsigned lines;
	size_t scanned;
	struct smtp_reply reply;
	struct probe_facts facts;
	const char *reason; /* our own words, a literal */
};

struct probe_script {
	/* One line without its CRLF; writes what to say. */
	enum probe_result (*line)(struct probe *, struct span line, struct output *);
	void (*tls_started)(struct probe *, struct output *);
};

extern const struct probe_script smtp_probe_script, imap_probe_script, pop3_probe_script;

/* hostname is borrowed. */
void probe_init(struct probe *, const struct probe_script *, const char *hostname, bool starttls);
/* Reads whole lines from data and moves *used behind them. */
enum probe_result probe_input(struct probe *, const char *data, size_t len, size_t *used,
			      struct output *);
void probe_tls_started(struct probe *, struct output *);

/* For the scripts. */
enum probe_result probe_fail(struct probe *, const char *reason);
enum probe_result probe_ask(struct probe *, int state, const char *command, struct output *);

#endif
