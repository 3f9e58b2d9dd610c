/* client_tls - a client's TLS from its first byte to the end of the handshake.
 * Its ClientHello is read and judged (gate.h) before the TLS library sees a byte of it: that chooses the certificate, and what is not
 * allowed is refused with the right alert and the right word in the log.
 * RFC 8446 4.1.2, RFC 9325 3.7 and 3.8, RFC 3207 4.2.
 */
#ifndef FRONTEND_CLIENT_TLS_H
#define FRONTEND_CLIENT_TLS_H

#include "frontend/session.h"

enum client_tls_step {
	CLIENT_TLS_WAIT,   /* for the client; or the session has ended */
	CLIENT_TLS_AGAIN,  /* another step can be made */
	CLIENT_TLS_STANDS, /* the handshake is done */
};

/* One step in ACCEPTED or HANDSHAKE. */
enum client_tls_step client_tls_step(struct session *);

/* What the token has answered; NULL: no signature. Not waited for: ignored. */
void client_tls_signed(struct session *, const uint8_t *signature, size_t len);
/* In those two states: whether the client can bring it on. */
bool client_tls_wants_client(const struct session *);

#endif
