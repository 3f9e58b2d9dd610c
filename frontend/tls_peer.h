/* tls_peer - asking a client for its certificate, and what came of it.
 * Invariants: what the library thinks of the chain counts for nothing, since its anchors may be others' (those of a stapled
 * response); client_trust_judge() says whether it is good, before the library goes on with the handshake, which then proves
 * that the client holds the key. Nothing is asked for after the handshake. RFC 8446 4.3.2, 4.4.2.4; RFC 5246 7.4.4; RFC 8314 4.2.
 */
#ifndef FRONTEND_TLS_PEER_H
#define FRONTEND_TLS_PEER_H

#include "frontend/tls_internal.h"

/* Before the first session of a context: each will be asked. False: the library cannot. */
bool tls_context_ask_client(struct tls_context *, const struct client_rules *);
/* Of a new session whose context asks. False without memory. */
bool tls_peer_begin(struct tls *);
/* The word for a handshake that failed by the client's certificate; NULL: it was not that. */
const char *tls_peer_failure(const struct tls *);

#endif
