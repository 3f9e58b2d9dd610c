/* tls_internal - what the tls*.c files share: the library's headers, contexts and sessions as they are.
 * Included by no other file: the library defines hundreds of names, OpenSSL's among them.
 */
#ifndef FRONTEND_TLS_INTERNAL_H
#define FRONTEND_TLS_INTERNAL_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "frontend/public_key.h"
#include "frontend/tls.h"
#include "protocols/tls_record.h"
#include "frontend/tls_ticket.h"
#include <sys/queue.h>

#define TLS_NAME_MAX 255

/* What hangs on a context of the library, by wolfSSL_CTX_get_ex_data(). */
enum tls_data { TLS_DATA_STAPLE };

struct tls_context {
	unsigned references;
	WOLFSSL_CTX *ctx;
	const struct profile *profile;
	bool verify;               /* of a client: the backend's certificate and name */
	struct public_key *key;    /* of a server; NULL for a client */
	struct tls_staple *staple; /* of a server; NULL: nothing to staple */
	bool tickets;              /* of a server: they may be made */
	bool token;  /* of a server: the key is in a token, which signs while the session waits */
	bool listed; /* of_keys, by tls_key.c */
	LIST_ENTRY(tls_context) of_keys;
	const struct client_rules
		*rules; /* of a server that asks for a certificate: no tickets; else NULL */
};

/* A block that the library was to free, one for each of the client's hellos; see tls_library.c. */
#define TLS_BLOCKS 2
struct tls_block {
	void *block; /* NULL: freed, or not there yet */
	bool seen;   /* it has been there */
};

struct tls_signing;

struct tls {
	WOLFSSL *ssl;
	struct tls_context *context; /* until the handshake is over */
	const struct profile *profile;
	bool server, verify_address;
	bool tickets,
		ticket_opened;   /* of this session: may be made and opened; one has been opened */
	struct buffer *in, *out; /* only while a call is under way */
	struct tls_record_watch records;     /* of the peer */
	bool bad_record;                     /* one of them was not for the library */
	bool spoke;                          /* the library has sent something */
	struct tls_block status[TLS_BLOCKS]; /* the response that is stapled in TLS 1.3 */
	struct tls_signing *signing;         /* a signature that is, or was, waited for */
	int error;
	struct tls_facts facts;
	const struct client_rules *rules;  /* of the context */
	struct client_certificate *client; /* with them */
	char name[TLS_NAME_MAX + 1]; /* server: the client's SNI; client: the name to verify */
};

/* tls_library.c: from now on the first block of that size that the library takes after it has taken a certificate apart is noted, since
 * any other may be as large by the client's choice; with NULL no more. TLS_BLOCKS of them. */
void tls_blocks_note(struct tls_block *, size_t size);
/* Frees those that the library has not. */
void tls_blocks_free(struct tls_block *);

/* tls_staple.c: around each call in which the library may staple. */
void tls_staple_enter(struct tls *);
void tls_staple_leave(void);

/* tls_profile.c. False: the library does not take it, and why. */
bool tls_profile_apply(WOLFSSL_CTX *, const struct profile *, bool server, char text[256]);

/* tls_key.c: the library's device that signs and looks at the peer's points; every context has it, a server's from before its chain,
 * and is told of the key after that. 0 or -1. */
#define TLS_KEY_DEVICE 1
int tls_key_device_start(void);
void tls_key_device_stop(void);
/* Names the context's key to the library. */
bool tls_key_device_use(struct tls_context *);
void tls_key_device_forget(struct tls_context *);
/* Around each call in which the library may sign. */
void tls_key_enter(struct tls *);
void tls_key_leave(void);
bool tls_key_failed(const struct tls *); /* there was no signature */
void tls_key_end(struct tls *);          /* wipes and forgets what was signed */

/* tls_ticket.c: when a session begins, around each call of its handshake, and when that is done. */
void tls_ticket_begin(struct tls *, enum tls_ticket_offer);
void tls_ticket_enter(const struct tls *);
void tls_ticket_leave(const struct tls *);
void tls_ticket_end(struct tls *);

/* tls.c: the library's I/O, on the buffers of the call that is under way. */
int tls_receive(WOLFSSL *ssl, char *data, int size, void *arg);
int tls_send(WOLFSSL *ssl, char *data, int size, void *arg);

#endif
