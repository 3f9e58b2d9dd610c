/* public_key - the public half of a certificate's key, which a worker may have: what it is, its name, and RSA's public operation.
 * The TLS library verifies each RSA signature that it has made, with a key that it does not hold.
 */
#ifndef FRONTEND_PUBLIC_KEY_H
#define FRONTEND_PUBLIC_KEY_H

#include "frontend/key.h"

struct public_key;

/* Of the first certificate of a PEM text; NULL and why when there is none, or its key is of no type that a private key may be. */
struct public_key *public_key_from_pem(const uint8_t *chain_pem, size_t len, char why[256]);
void public_key_free(struct public_key *);
enum key_type public_key_type(const struct public_key *);
unsigned public_key_bits(const struct public_key *);     /* as key_bits() */
const uint8_t *public_key_id(const struct public_key *); /* KEY_ID_LEN octets, as key_spki_hash() */

/* The numbers of an RSA key, most significant octet first, each with its length; false: another type. They live as long as the key. */
struct public_key_number {
	const uint8_t *data;
	size_t len;
};
bool public_key_numbers(const struct public_key *, struct public_key_number *modulus,
			struct public_key_number *exponent);

/* The raw operation on a block of the modulus' size. 0 and *out_len, or -1. out holds KEY_SIGNATURE_MAX. */
int public_key_rsa(const struct public_key *, const uint8_t *in, size_t len, uint8_t *out,
		   size_t *out_len);

/* Whether it is a signature of that input by this key's private half, both as of key_sign(); not for Ed25519. */
bool public_key_verifies(const struct public_key *, const uint8_t *in, size_t len,
			 const uint8_t *signature, size_t signature_len);

/* The two numbers of an ECDSA signature, side by side, as key_sign() gives them (DER). False: they are none. */
bool public_key_ecdsa_der(const uint8_t *numbers, size_t len, uint8_t out[KEY_SIGNATURE_MAX],
			  size_t *out_len);

#endif
