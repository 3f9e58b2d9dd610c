/* rsa_stand_in - the text of a private key that is none: a real RSA public key, whose private exponent is the key's name.
 * The TLS library takes every RSA key that it knows by a name alone for one of 2048 bits (wolfSSL 5.5.4, wc_RsaEncryptSize()); one with
 * its modulus in place it sizes right, and asks its device as it would for the other. Pure. RFC 8017 A.1.2, X.690.
 */
#ifndef FRONTEND_RSA_STAND_IN_H
#define FRONTEND_RSA_STAND_IN_H

#include "frontend/public_key.h"

#define RSA_STAND_IN_MAX (KEY_SIGNATURE_MAX + 256)

/* DER of an RSAPrivateKey. Returns its length; 0: not of RSA. */
size_t rsa_stand_in(const struct public_key *, uint8_t out[RSA_STAND_IN_MAX]);

#endif
