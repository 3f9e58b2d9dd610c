/* keeper_rules - what a TLS server signs, and nothing else is signed.
 * Invariants: pure; a block that could be somebody's ciphertext never passes, so the keeper is no decryption oracle. RSA: PKCS#1
 * v1.5 of a DigestInfo, or PSS, whole and of the modulus' size; ECDSA: a digest's length; Ed25519: TLS 1.3's
 * CertificateVerify of a server.
 * RFC 8017 9.1, 9.2, RFC 8446 4.4.3, RFC 5246 7.4.3, RFC 4346 7.4.3.
 */
#ifndef FRONTEND_KEEPER_RULES_H
#define FRONTEND_KEEPER_RULES_H

#include "frontend/key.h"

/* As key_digest(): writes digest_len octets and returns whether it could. */
typedef bool keeper_digest(size_t digest_len, const void *in, size_t len, uint8_t *out);

struct keeper_subject {
	enum key_type type;
	unsigned bits; /* of an RSA modulus */
	bool old_tls; /* used where TLS 1.1 is spoken: MD5 beside SHA-1 (RSA), SHA-1 (ECDSA) pass too */
};

bool keeper_may_sign(const struct keeper_subject *, enum key_algorithm, const uint8_t *in,
		     size_t len, keeper_digest *);

#endif
