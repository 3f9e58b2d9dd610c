/* key - a private key behind one interface: sign(key, algorithm, input). In this version it is served in the worker; a
 * process of its own can take its place without a caller noticing.
 * Invariants: nothing but key.c sees a private key; it is only ever asked to sign what TLS hands it; wiped when freed.
 * RFC 8446 4.4.3, RFC 5246 7.4.3.
 */
#ifndef FRONTEND_KEY_H
#define FRONTEND_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type { KEY_EC, KEY_RSA };

enum key_algorithm {
	KEY_SIGN_ECDSA, /* input: a digest; output: a DER signature */
	KEY_SIGN_RSA, /* input: a padded block of the modulus' size (PSS or PKCS#1); output: as long */
};

#define KEY_SIGNATURE_MAX 1024

struct key;

/* Opens what the library reads from files, so that later calls need none. 0 or -1. */
int key_library_init(void);

/* The key of a PEM text, if it fits the first certificate of the chain, each certificate is issued by the one behind it and
 * the sizes are enough (RSA 2048, EC P-256 or P-384); else NULL and why. */
struct key *key_new(const uint8_t *key_pem, size_t key_len, const uint8_t *chain_pem,
		    size_t chain_len, char why[256]);
void key_free(struct key *);
enum key_type key_type(const struct key *);
unsigned key_id(const struct key *);      /* names it in this process */
const struct key *key_by_id(unsigned id); /* NULL: none of that name */

/* 0 and *out_len, or -1. out holds KEY_SIGNATURE_MAX. */
int key_sign(const struct key *, enum key_algorithm, const uint8_t *in, size_t len, uint8_t *out,
	     size_t *out_len);
/* The public operation (the library verifies each RSA signature that it makes); the same rules. */
int key_rsa_public(const struct key *, const uint8_t *in, size_t len, uint8_t *out,
		   size_t *out_len);

#endif
