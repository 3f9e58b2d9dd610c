/* auth_message - requests of a worker and answers of an auth process, as fields of a message; pure, shared by both ends.
 * Invariants: every field is bounded; a malformed message decodes to false and the reader's process gives up on that peer.
 * Spans point into the frame they were decoded from. An exchange is named by session id and serial, never by pointer.
 */
#ifndef AUTH_AUTH_MESSAGE_H
#define AUTH_AUTH_MESSAGE_H

#include "frontend/message.h"
#include "protocols/span.h"

#define AUTH_RESPONSE_MAX 16384 /* encoded */

enum auth_request_type {
	AUTH_BEGIN = 1, /* service, mechanism, initial response or not */
	AUTH_CHECK,     /* service, user, password: IMAP LOGIN, POP3 PASS */
	AUTH_CONTINUE,  /* response */
	AUTH_CANCEL,    /* the client cancelled or has gone; no answer follows */
};

struct auth_exchange {
	uint64_t session;
	uint32_t serial;
};

struct auth_request {
	enum auth_request_type type;
	struct auth_exchange exchange;
	struct span service;   /* "smtp", "imap", "pop" */
	struct span mechanism; /* upper case */
	struct span response;  /* base64 as it came; empty when there is none or it was "=" */
	bool has_response;
	struct span user, password;
	struct span local, remote; /* "192.0.2.1;143" as SASL wants it */
	uint32_t tls_bits;         /* strength of the cipher, for SASL_SSF_EXTERNAL */
	struct span external;      /* BEGIN: whom TLS has verified, for EXTERNAL; empty: nobody */
	bool decides; /* SASL is to be the judge (BEGIN, CHECK); false: the backend will be */
};

enum auth_answer_type {
	AUTH_CHALLENGE = 32, /* challenge, base64; authcid, empty before one is given */
	AUTH_VERIFIED,       /* SASL itself is sure: authcid, authzid */
	AUTH_CAPTURED,       /* decoded only, nothing is proven: authcid, authzid, password */
	AUTH_REFUSED,        /* why; authcid, empty when no acceptable name was given */
	AUTH_TEMPORARY,      /* authcid, likewise */
};

enum auth_refusal {
	AUTH_REFUSED_CREDENTIAL,    /* wrong, unknown, empty or unacceptable name */
	AUTH_REFUSED_AUTHORIZATION, /* another identity was asked for */
	AUTH_REFUSED_MECHANISM,
	AUTH_REFUSED_ENCODING, /* base64 or the mechanism's own syntax */
};

struct auth_answer {
	enum auth_answer_type type;
	struct auth_exchange exchange;
	struct span challenge;
	struct span authcid, authzid, password;
	enum auth_refusal refusal;
};

/* Begins, fills and ends a message of `type`; false when it does not fit. The writer is the caller's to clean up. */
bool auth_request_encode(struct message_writer *, const struct auth_request *);
bool auth_request_decode(struct message_reader *, unsigned type, struct auth_request *);
bool auth_answer_encode(struct message_writer *, const struct auth_answer *);
bool auth_answer_decode(struct message_reader *, unsigned type, struct auth_answer *);

#endif
