/* tls_staple - a stapled OCSP response: what a server's context sends to a client that asks for the status of its certificate.
 * Invariants: nothing is sent that has ended or that the library cannot verify; the handshake goes on without it then. That a response is
 * about the certificate, the library does not look at: who wrote the book has. RFC 6066 8, RFC 6960, RFC 8446 4.4.2.1.
 */
#ifndef FRONTEND_TLS_STAPLE_H
#define FRONTEND_TLS_STAPLE_H

#include "frontend/tls.h"
#include "protocols/span.h"

struct tls_staple;

/* Tells a server's context to staple that response (DER, copied), until `next_update` (seconds since 1970), for its certificate, which
 * `issuer` (PEM) has issued. The library verifies the response by the issuer (which needs a
 * subjectKeyIdentifier, RFC 5280 4.2.1.2), and the issuer becomes an authority of the context, which
 * counts for nothing where clients are asked for certificates (tls_peer.h). With an empty response the context is left as it is.
 * False: the library does not take it, and the context must not be used. Before the first handshake, once. */
bool tls_staple_use(struct tls_context *, struct span response, int64_t next_update,
		    struct span issuer);
void tls_staple_free(struct tls_staple *);

/* Takes the certificates out of a response of `len` octets, in place, if the first of them is `issuer` (DER): whoever has the issuer does
 * not need it, and the library refuses a response that brings a certificate whose own issuer it does not know. Returns the new length;
 * `len` when there is nothing to take out, or what stands there is no response. */
size_t tls_staple_trim(uint8_t *response, size_t len, struct span issuer);

#endif
