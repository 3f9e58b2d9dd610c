/* smtp_xclient - telling a submission backend who the client is: the lines of XCLIENT.
 * Invariants: only attributes that the backend offers are sent; values are xtext (RFC 3461 4), so none can end a line or
 * begin another attribute; a line has at most 512 octets. XCLIENT is Postfix's own; its XCLIENT_README is the standard.
 */
#ifndef PROTOCOLS_SMTP_XCLIENT_H
#define PROTOCOLS_SMTP_XCLIENT_H

#include "protocols/login.h"

#define SMTP_XCLIENT_LINE_MAX 512 /* with its CRLF */
#define SMTP_XCLIENT_BITS     9   /* of an offer */

struct smtp_xclient {
	unsigned offered; /* as smtp_xclient_offer() read it */
	const struct login_client *client;
	struct span login; /* the user, where the backend is to take our word for it; else empty */
};

enum smtp_xclient_result {
	SMTP_XCLIENT_WRITTEN, /* one line; there may be another */
	SMTP_XCLIENT_OVER,    /* nothing is left to say */
	SMTP_XCLIENT_LONG,    /* a value does not fit into a line */
};

/* What stands behind the word XCLIENT in the reply to EHLO, as bits; words that we do not know are none. */
unsigned smtp_xclient_offer(struct span attributes);
bool smtp_xclient_offers_login(unsigned offered);

/* The next line. *next counts attributes: 0 at first, not 0 once it was called. */
enum smtp_xclient_result smtp_xclient_write(const struct smtp_xclient *, unsigned *next,
					    struct output *);

/* RFC 3461 4. */
void smtp_xtext(struct span, struct output *);

#endif
