/* login - our side of the dialogue with a backend, from its greeting to its verdict on the user's own credential.
 * Invariants: fail-closed: with LOGIN_TLS_STARTTLS no credential leaves before TLS stands, and bytes behind the STARTTLS
 * reply, a PREAUTH greeting or an unexpected reply are a backend failure, never a way in. Capabilities from before
 * TLS are forgotten. A credential is quoted so that it can never become a second command. The backend's words never
 * reach the client, but for a POP3 response code and IMAP capabilities.
 */
#ifndef PROTOCOLS_LOGIN_H
#define PROTOCOLS_LOGIN_H

#include "protocols/credential.h"
#include "protocols/output.h"

struct login_settings {
	const char *hostname; /* for EHLO */
	bool starttls;        /* required: not offered or refused is a failure */
};

enum login_result {
	LOGIN_MORE,      /* send what is in the output, if anything, and wait for more */
	LOGIN_START_TLS, /* nothing may be buffered behind; handshake, then login_tls_started() */
	LOGIN_ACCEPTED,  /* the backend accepted the user's own credential */
	LOGIN_REFUSED,   /* it says that the credential is wrong: the only failed attempt */
	LOGIN_TEMPORARY, /* anything else; `reason` says what for the log */
};

#define LOGIN_LINE_MAX 8192 /* a backend's line; longer is a failure */

struct login {
	const struct login_script *script;
	const struct login_settings *settings;
	const struct credential *credential; /* borrowed */
	int state;
	unsigned flags;          /* what the backend offers; private to each protocol */
	bool tls;                /* STARTTLS has been done */
	size_t scanned;          /* bytes of the current line already searched for its end */
	const char *reason;      /* why not LOGIN_ACCEPTED: our own words, a literal */
	char code[24];           /* POP3: response code to keep, without brackets */
	char capabilities[4096]; /* IMAP: for the client's tagged OK, filtered */
};

struct login_script {
	/* Reads whole lines from data, moves *used behind them, writes what to send to output. May be called with len 0
	 * (after login_tls_started). After ACCEPTED the bytes behind *used belong to the relay. The output may hold the
	 * password: the caller wipes it once sent. */
	enum login_result (*input)(struct login *, const char *data, size_t len, size_t *used,
				   struct output *);
	void (*tls_started)(struct login *, struct output *);
};

void login_init(struct login *, const struct login_script *, const struct login_settings *,
		const struct credential *);
enum login_result login_input(struct login *, const char *data, size_t len, size_t *used,
			      struct output *);
/* The handshake after LOGIN_START_TLS is done: forget all, start anew. */
void login_tls_started(struct login *, struct output *);

#endif
