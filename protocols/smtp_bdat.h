/* smtp_bdat - a message sent in chunks: octets counted, bytes judged, and passed as they are or as the text of DATA.
 * Invariants: never more octets are taken than the chunks announced, so none of them is ever a command and no command
 * is one of them; unless the message is binary a bare CR, a bare LF or NUL is found before it is passed on (a CRLF may be
 * split over two chunks); the last octet of a message never passes before all is judged.
 * RFC 3030 2, 3; RFC 5321 2.3.8, 4.5.2.
 */
#ifndef PROTOCOLS_SMTP_BDAT_H
#define PROTOCOLS_SMTP_BDAT_H

#include "protocols/output.h"
#include <stdint.h>

/* Zero it before each message; `binary` and `convert` are the caller's to set. */
struct smtp_bdat {
	bool binary;  /* any octet is fine */
	bool convert; /* to the text of DATA: dots are stuffed. Never together with binary */
	bool after_cr, inside_line;
	bool last;     /* the current chunk is the last one */
	uint64_t left; /* octets of the current chunk still to come */
};

/* The next chunk of the message. False: it cannot follow (a last one of no octets behind a CR). */
bool smtp_bdat_begin(struct smtp_bdat *, uint64_t size, bool last);

/* Writes what it takes of data, at most as much as there is room for. False: the byte at data + *used must not pass. */
bool smtp_bdat_pass(struct smtp_bdat *, const char *data, size_t len, struct output *,
		    size_t *used);

/* The end of DATA behind the last chunk; a message that does not end with CRLF gets one. False: no room. */
bool smtp_bdat_end(const struct smtp_bdat *, struct output *);

#endif
