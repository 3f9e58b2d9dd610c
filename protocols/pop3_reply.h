/* pop3_reply - one reply line of a POP3 backend, taken apart.
 * Invariants: spans point into the line. RFC 1939 3, RFC 2449 8, RFC 5034 4.
 */
#ifndef PROTOCOLS_POP3_REPLY_H
#define PROTOCOLS_POP3_REPLY_H

#include "protocols/span.h"

enum pop3_status { POP3_STATUS_OK, POP3_STATUS_ERROR, POP3_STATUS_CONTINUATION };

struct pop3_reply {
	enum pop3_status status;
	struct span code; /* in the brackets behind +OK or -ERR; empty without */
};

/* False when the line is neither +OK, -ERR nor "+ ". */
bool pop3_reply_parse(struct span line, struct pop3_reply *out);

#endif
