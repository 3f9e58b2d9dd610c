/* key - a private key: named by its public half, asked to sign, never shown.
 * Invariants: nothing but key.c sees a private key; it never decrypts; wiped when freed. A key is named by the SHA-256 of its
 * SubjectPublicKeyInfo (RFC 7469 2.4), so the name survives a renewal of the certificate.
 * Signing does not change a key: several threads may sign with one at a time.
 * RFC 8446 4.4.3, RFC 5246 7.4.3.
 */
#ifndef FRONTEND_KEY_H
#define FRONTEND_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type { KEY_EC, KEY_RSA, KEY_ED25519 }; /* EC: P-256 or P-384 */

enum key_algorithm {
	KEY_SIGN_ECDSA, /* input: a digest; output: a DER signature */
	KEY_SIGN_RSA, /* input: a padded block of the modulus' size (PSS or PKCS#1); output: as long */
	KEY_SIGN_ED25519, /* input: the message itself; output: 64 octets */
};

#define KEY_ID_LEN        32
#define KEY_SIGNATURE_MAX 1024
#define KEY_RSA_BITS_MAX  4096 /* the TLS library computes with no larger numbers */

struct key;

/* Opens what the library reads from files, so that later calls need none. 0 or -1. */
int key_library_init(void);

/* The key of a PEM text without pass phrase, of one of the types above (RSA up to KEY_RSA_BITS_MAX; whether it is large enough is others'
 * to say); else NULL and why. The caller wipes the text. */
struct key *key_from_pem(const uint8_t *pem, size_t len, char why[256]);
void key_free(struct key *);
enum key_type key_type(const struct key *);
unsigned key_bits(const struct key *); /* RSA: of the modulus; EC: 256 or 384; Ed25519: 256 */
void key_spki_hash(const struct key *, uint8_t id[KEY_ID_LEN]);

/* 0 and *out_len, or -1 (also when the algorithm is not the key's). out holds KEY_SIGNATURE_MAX. */
int key_sign(const struct key *, enum key_algorithm, const uint8_t *in, size_t len, uint8_t *out,
	     size_t *out_len);

/* The digest of SHA-256, SHA-384 or SHA-512, by its length in octets; false for another length. */
bool key_digest(size_t digest_len, const void *in, size_t len, uint8_t *out);

#endif
