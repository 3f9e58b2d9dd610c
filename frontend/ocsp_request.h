/* ocsp_request - the question that an OCSP responder is asked about a certificate. RFC 6960 4.1, RFC 5019 2.1 (one certificate, SHA-1, no
 * nonce: what responders have answers ready for).
 */
#ifndef FRONTEND_OCSP_REQUEST_H
#define FRONTEND_OCSP_REQUEST_H

#include "protocols/span.h"
#include <stdint.h>

#define OCSP_REQUEST_MAX 512

/* In DER; its length, 0 when the certificate (DER) or its issuer (PEM) cannot be read. */
size_t ocsp_request(struct span leaf, struct span issuer, uint8_t out[OCSP_REQUEST_MAX]);

#endif
