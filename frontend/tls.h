/* tls - contexts, and the one gate to the TLS library for a session.
 * Invariants: every call into wolfSSL for a session goes through tls_gate() in tls.c, so an idle session may be packed away
 * behind it; the library never sees a socket: it takes from `in` and gives to `out`, which always takes all, so it never
 * reports a blocked write (wolfSSL 5.5.4 loses the error of the second one). Versions, suites and groups are those of the
 * profile; no renegotiation, no 0-RTT, no session cache; resumption by tickets alone (tls_ticket.h).
 * RFC 8446, 5246, 9325, 8996.
 */
#ifndef FRONTEND_TLS_H
#define FRONTEND_TLS_H

#include "frontend/book.h"
#include "frontend/buffer.h"
#include "frontend/client_certificate.h"
#include "frontend/config.h"
#include "frontend/key.h"
#include "frontend/profile.h"

struct tls_context; /* of one certificate at one class of listeners, or of one pool; counted */
struct tls;         /* of one session's leg */

/* Before anything else in a process; random state is the process's own. 0 or -1. */
int tls_init(void);
void tls_cleanup(void);
const char *tls_version(void); /* "wolfSSL-5.5.4" */

/* Who signs for this process: sign() is asked by the name of the key (SHA-256 of its SubjectPublicKeyInfo) as key_sign() is,
 * and may take its time within the keeper's deadline. */
struct tls_signer {
	int (*sign)(void *owner, const uint8_t id[KEY_ID_LEN], enum key_algorithm,
		    const uint8_t *in, size_t len, uint8_t *out, size_t *out_len);
	void *owner;
};
void tls_sign_by(const struct tls_signer *); /* copied; NULL: nobody */

/* Whom a listener asks for a certificate, and what one is good for. */
struct client_rules {
	struct client_trust *trust;
	struct client_users *users; /* NULL: the address in the certificate */
	bool required;
};

enum client_certificate_status {
	CLIENT_CERTIFICATE_NONE, /* asked for and not sent */
	CLIENT_CERTIFICATE_UNVERIFIED,
	CLIENT_CERTIFICATE_VERIFIED,
};

struct client_certificate {
	enum client_certificate_status status;
	const char *fault; /* why it is not verified: a word, a literal */
	char *name;        /* verified: as the log is to know it; NULL: it has none */
	char *user;        /* for whom it may log in; NULL: nobody */
};

/* Borrowed while a context is made, but for the clients' rules, which outlive it. */
struct tls_server_settings {
	const struct profile *profile;
	const struct book_entry *certificate;
	int ticket_lifetime;                /* seconds; 0: sessions are not resumed */
	const struct client_rules *clients; /* NULL: they are not asked; else nothing is resumed */
};

/* Whether the library takes all that a profile allows; if not, why. */
bool tls_profile_check(const struct profile *, char text[256]);

/* NULL, and why in text, when the library does not take it. The private key is not needed for it. */
struct tls_context *tls_context_server(const struct tls_server_settings *, char text[256]);
struct tls_context *tls_context_client(const struct config_pool *, char text[256]);
struct tls_context *tls_context_keep(struct tls_context *);
void tls_context_drop(struct tls_context *); /* NULL is fine */

/* What the gate has found out of a ClientHello. Copied. */
struct tls_accept {
	const char *sni;  /* "": none */
	const char *alpn; /* the protocol to agree on; NULL: the client named none */
	uint16_t version; /* the least to be spoken; 0: that of the profile */
	int tickets;      /* enum tls_ticket_offer */
};
/* Keeps the context until the handshake is over. */
struct tls *tls_accept_new(struct tls_context *, const struct tls_accept *);
/* name: to verify and to send as SNI (an address is verified as such and not sent) */
struct tls *tls_connect_new(struct tls_context *, const char *name);
void tls_free(struct tls *);

/* What a session whose key is in a token waits for: a signature, as of key_sign(). Lies in the session. */
struct tls_request {
	const uint8_t *id;
	enum key_algorithm algorithm;
	const uint8_t *in;
	size_t len;
};
/* True once for each: somebody is to sign it, and then tls_signed() is to be called. */
bool tls_take_request(struct tls *, struct tls_request *out);
bool tls_waits(const struct tls *); /* it has been taken, and no signature has come */
/* The handshake can go on. Copied; NULL: there is no signature, and it will fail. Ignored when none is waited for. */
void tls_signed(struct tls *, const uint8_t *signature, size_t len);

enum tls_result {
	TLS_DONE,
	TLS_AGAIN,   /* needs bytes in `in` */
	TLS_PENDING, /* of the handshake: needs a signature; tls_take_request() */
	TLS_CLOSED,  /* close_notify came */
	TLS_FAILED,  /* handshake or record failure; tls_failure() says why */
};

/* Each takes ciphertext from in and appends ciphertext to out. */
enum tls_result tls_handshake(struct tls *, struct buffer *in, struct buffer *out);
/* *got > 0 with TLS_DONE. */
enum tls_result tls_read(struct tls *, struct buffer *in, struct buffer *out, void *data,
			 size_t len, size_t *got);
enum tls_result tls_write(struct tls *, struct buffer *in, struct buffer *out, const void *data,
			  size_t len);
/* Our close_notify; no other call but tls_read() and tls_free() after it. */
void tls_shutdown(struct tls *, struct buffer *out);

/* Facts for the log; literals or text inside the tls. Valid once the handshake is done. */
struct tls_facts {
	const char *version, *cipher, *group;
	const char *sni; /* of the client, "" when absent */
	unsigned bits;
	bool resumed;
	bool ticket_issued;
	const char *
		ticket_refused; /* a word, of one that the client has shown; NULL: it has not, or it was taken */
};
void tls_facts(const struct tls *, struct tls_facts *);
/* What came of asking; the caller frees it. NULL: nothing was asked, or it was taken before. */
struct client_certificate *tls_take_client_certificate(struct tls *);
void client_certificate_free(struct client_certificate *); /* NULL is fine */
/* In words for the log: "tls_version", "no_common_cipher", "certificate", "not_tls", "token", "handshake"... */
const char *tls_failure(const struct tls *);

#endif
