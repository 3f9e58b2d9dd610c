/* base64 - encodes what we send to a backend. Decoding of what a peer sent is left to the auth process.
 * RFC 4648 4.
 */
#ifndef PROTOCOLS_BASE64_H
#define PROTOCOLS_BASE64_H

#include "protocols/output.h"

/* The response of SASL PLAIN (RFC 4616 2) in base64: authorization identity (empty: the user's own), NUL, user, NUL,
 * password. */
void base64_plain(struct span authorization, struct span user, struct span password,
		  struct output *);

void base64_encode(struct span, struct output *);

#endif
