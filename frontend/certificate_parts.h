/* certificate_parts - what certificate*.c share: not for others, since libcrypto's types may not stand beside wolfSSL's. */
#ifndef FRONTEND_CERTIFICATE_PARTS_H
#define FRONTEND_CERTIFICATE_PARTS_H

#include "frontend/certificate.h"
#include <openssl/x509v3.h>

#define CERTIFICATE_CHAIN_MAX 10 /* certificates in one file */

struct certificate {
	X509 *chain[CERTIFICATE_CHAIN_MAX + 1];
	size_t count;
	enum book_kind kind;
	unsigned bits;
	bool must_staple;
	uint8_t spki[BOOK_ID_LEN], fingerprint[BOOK_ID_LEN];
	int64_t not_before, not_after;
	BIO *pem;          /* the chain, written anew */
	size_t issuer_at;  /* where the second begins in it, and ends */
	size_t issuer_end; /* 0: there is none */
	uint8_t *der;      /* the leaf */
	size_t der_len;
	char *names; /* each with its NUL */
	size_t names_len;
	char *ocsp; /* NULL: it names no responder */
};

/* Seconds since 1970; INT64_MIN when it is no time. */
int64_t certificate_time(const ASN1_TIME *);
/* Its subject in one line, for faults. */
void certificate_subject(X509 *, char out[128]);
/* Whether it is signed with its own key. */
bool certificate_self_signed(X509 *);
/* Whether b has signed a: by names, key identifiers and the signature itself. */
bool certificate_signed_by(X509 *a, X509 *b);

#endif
