/* chain - certificates of every sort, good and bad, and OCSP responses about them, made in the process for unit tests. Ends the program
 * when libcrypto fails. */
#ifndef TESTS_SUPPORT_CHAIN_H
#define TESTS_SUPPORT_CHAIN_H

#include <stddef.h>
#include <stdint.h>

struct made; /* a certificate with its key */

struct make {
	const char *
		kind; /* "P-256", "P-384", "P-521", "P-256 explicit" (its curve described, not named), "RSA-2048", "Ed25519"...; NULL: P-256 */
	const char *name;          /* common name */
	const struct made *issuer; /* NULL: self-signed */
	const struct made *key;    /* whose key it has; NULL: a new one */
	int begins, ends;          /* days from now; both 0: from yesterday for 90 days */
	const char *digest;        /* of its signature; NULL: SHA256 (none for Ed25519) */
	/* Pairs as in an openssl configuration, "subjectAltName", "DNS:a.test"; NULL at the end. */
	const char *extensions[16];
};

struct made *make_one(const struct make *);
/* An authority that may sign others, of that name; issuer NULL: a root. */
struct made *make_authority(const char *name, const struct made *issuer);
/* A server's certificate for "DNS:..." and so on. */
struct made *make_leaf(const char *names, const struct made *issuer);
void made_free(struct made *);

/* PEM of certificates one behind the other (up to a NULL), for free(). */
char *made_chain(const struct made *first, ...) __attribute__((sentinel));
char *made_key(const struct made *); /* PEM, for free() */

struct response {
	const struct made *about, *issuer;
	const struct made *signer; /* NULL: the issuer */
	int status;                /* 0 good, 1 revoked, 2 unknown */
	long begins, ends;         /* seconds from now; ends 0: none is said */
	int refused;               /* another status than "successful", with nothing in it */
};

/* DER, for free(). */
uint8_t *make_response(const struct response *, size_t *len);

#endif
