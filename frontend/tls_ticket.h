/* tls_ticket - resumption of TLS sessions by tickets.
 * Invariants: a ticket is good for the version, profile and server name that it was made for (where the client names none: for the server's
 * key), until it is as old as its context says or its key is gone; nothing is kept of a session here. What the library would trip over does
 * not get to it. RFC 8446 2.2, 4.2.9, 4.6.1; RFC 5077; RFC 7627 5.3; RFC 9325 3.4.
 */
#ifndef FRONTEND_TLS_TICKET_H
#define FRONTEND_TLS_TICKET_H

#include "frontend/ticket_keys.h"
#include "frontend/tls.h"
#include "protocols/tls_hello.h"

/* The keys of this process from now on, copied; NULL: none, and tickets are neither made nor opened. */
void tls_tickets_use(const struct ticket_keys *);

/* A server's context makes tickets from now on, good for that many seconds. Never of one that asks for client certificates: a
 * resumed session has none. */
void tls_context_tickets(struct tls_context *, int lifetime);

enum tls_ticket_offer {
	TLS_TICKET_NONE,  /* the client has none and could use none */
	TLS_TICKET_FIT,   /* a ticket may be made, and one that is shown be opened */
	TLS_TICKET_UNFIT, /* it shows one that is not to be opened */
};

/* By a hello that is going to be answered with that version. */
enum tls_ticket_offer tls_ticket_offer(const struct tls_hello *, uint16_t version);

#endif
