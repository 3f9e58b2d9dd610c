/* login - our side of the dialogue with a backend, from its greeting to its verdict on the user.
 * Invariants: fail-closed: with LOGIN_TLS_STARTTLS no credential leaves before TLS stands, and bytes behind the STARTTLS
 * reply, a PREAUTH greeting or an unexpected reply are a backend failure, never a way in. Capabilities from before
 * TLS are forgotten. A credential is quoted so that it can never become a second command. The backend's words never
 * reach the client, but for a POP3 response code and IMAP capabilities. Who the client is, is told only to a backend that
 * asks for it, in TLS where TLS is required, and before the login. Only LOGIN_MODE_PASSWORD can end in LOGIN_REFUSED: in
 * the other modes the user's password is not in what the backend refuses.
 */
#ifndef PROTOCOLS_LOGIN_H
#define PROTOCOLS_LOGIN_H

#include "protocols/credential.h"
#include "protocols/output.h"
#include "protocols/smtp_extension.h"

enum login_mode {
	LOGIN_MODE_PASSWORD, /* with what the user gave */
	LOGIN_MODE_MASTER,   /* SASL PLAIN as the master user, on behalf of the user (RFC 4616 2) */
	LOGIN_MODE_XCLIENT,  /* submission: the backend takes our word for it */
};

struct login_settings {
	const char *hostname; /* for EHLO */
	bool starttls;        /* required: not offered or refused is a failure */
	enum login_mode mode;
	struct span master_user, master_password; /* LOGIN_MODE_MASTER */
};

#define LOGIN_ADDRESS_MAX 46 /* an IPv6 address in text, with its NUL */

struct login_endpoint {
	char address[LOGIN_ADDRESS_MAX]; /* numeric; "": not known, as with a Unix socket */
	unsigned port;                   /* 0: not known */
};

/* What the backend may get to know of the client. */
struct login_client {
	struct login_endpoint peer;  /* the client's */
	struct login_endpoint local; /* ours, where it has connected to */
	char name[256];              /* of its EHLO; "": none */
	char session[32];            /* our id of the session: letters and digits */
};

/* How many proxies may still follow, for backends that are proxies and count them. */
#define LOGIN_PROXY_TTL 4

enum login_result {
	LOGIN_MORE,      /* send what is in the output, if anything, and wait for more */
	LOGIN_START_TLS, /* nothing may be buffered behind; handshake, then login_tls_started() */
	LOGIN_ACCEPTED, /* the backend accepted the login: the user's own credential, or ours for that user */
	LOGIN_REFUSED, /* it says that the credential is wrong: the only failed attempt */
	LOGIN_DENIED, /* it refused our own login for that user; no word about the user's password */
	LOGIN_TEMPORARY, /* anything else; `reason` says what for the log */
};

#define LOGIN_LINE_MAX 8192 /* a backend's line; longer is a failure */

struct login {
	const struct login_script *script;
	const struct login_settings *settings;
	const struct credential
		*credential; /* borrowed; its password may be empty unless it is used */
	struct login_client client;
	int state;
	unsigned flags;      /* what the backend offers; private to each protocol */
	unsigned introduced; /* how far the client has been made known; private to each protocol */
	bool tls;            /* STARTTLS has been done */
	bool credential_sent; /* a part of it has been written: no other server may be tried any more */
	size_t scanned;       /* bytes of the current line already searched for its end */
	const char *reason;                /* why not LOGIN_ACCEPTED: our own words, a literal */
	char code[24];                     /* POP3: response code to keep, without brackets */
	char capabilities[4096];           /* IMAP: for the client's tagged OK, filtered */
	struct smtp_extensions extensions; /* submission: of the backend's last EHLO reply */
};

struct login_script {
	/* Reads whole lines from data, moves *used behind them, writes what to send to output. May be called with len 0
	 * (after login_tls_started). After ACCEPTED the bytes behind *used belong to the relay. The output may hold the
	 * password: the caller wipes it once sent. */
	enum login_result (*input)(struct login *, const char *data, size_t len, size_t *used,
				   struct output *);
	void (*tls_started)(struct login *, struct output *);
};

/* The client's facts are copied. */
void login_init(struct login *, const struct login_script *, const struct login_settings *,
		const struct credential *, const struct login_client *);
enum login_result login_input(struct login *, const char *data, size_t len, size_t *used,
			      struct output *);
/* The handshake after LOGIN_START_TLS is done: forget all, start anew. */
void login_tls_started(struct login *, struct output *);

/* For the scripts: the response of SASL PLAIN that the mode asks for. NUL separates its fields (RFC 4616 2): with one
 * inside, it would be read as another. */
bool login_plain_fits(const struct login *);
size_t login_plain_size(const struct login *); /* in base64 */
void login_plain(const struct login *, struct output *);

#endif
