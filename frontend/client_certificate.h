/* client_certificate - whether the chain that a client has sent leads to the operator's authorities, and who it speaks of.
 * Invariants: the only anchors are the self-signed certificates of the operator's bundle, whatever other authorities the TLS
 * library may hold; one library judges the chain and reads the names, so they cannot be read in two ways; that the client
 * holds the key is the handshake's to prove. RFC 5280 4.2.1.12 (purpose), 6 (path, revocation), 8398 (addresses).
 */
#ifndef FRONTEND_CLIENT_CERTIFICATE_H
#define FRONTEND_CLIENT_CERTIFICATE_H

#include "frontend/client_users.h"
#include "frontend/config.h"

#define CLIENT_CHAIN_MAX         8  /* certificates that a client may send */
#define CLIENT_INTERMEDIATES_MAX 4  /* between its own and the anchor */
#define CLIENT_AUTHORITIES_SHOWN 32 /* names that a TLS 1.2 client is shown, if there are no more */

struct client_trust;

/* From PEM text: the authorities, and revocation lists when there are any. NULL and why: a sentence for the operator. */
struct client_trust *client_trust_new(struct config_blob ca, struct config_blob crl, char why[256]);
void client_trust_free(struct client_trust *); /* NULL is fine */

/* The DER of the i-th authority; false: there is none. *data is client_trust_der_free()'s. */
bool client_trust_authority(const struct client_trust *, size_t i, unsigned char **data,
			    size_t *len);
void client_trust_der_free(unsigned char *data);
/* Revocation lists that are past their time: while they stand, every certificate is refused. */
bool client_trust_outdated(const struct client_trust *);

struct client_chain {
	struct {
		const unsigned char *data;
		size_t len;
	} items[CLIENT_CHAIN_MAX]; /* DER, the client's own first */
	size_t count;
};

/* NULL: it is good, and identity is filled. Else in a word why not: "malformed", "expired", "not_yet_valid", "revoked",
 * "revocation_unknown", "purpose", "weak", "too_long", "unknown_authority", "unacceptable". */
const char *client_trust_judge(const struct client_trust *, const struct client_chain *,
			       struct client_identity *identity);

#endif
