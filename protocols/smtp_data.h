/* smtp_data - where a message ends, and what it must not hold.
 * Invariants: the end is CRLF.CRLF alone (the CRLF behind DATA counts as the first); a bare CR, a bare LF or NUL is found before
 * it is passed on; bytes are passed unchanged (dots stay stuffed). What cannot be judged yet (at most 4 bytes: a CR, or
 * the beginning of an end) is left with the caller, who shows it again with more behind it.
 * RFC 5321 2.3.8, 4.1.1.4, 4.5.2.
 */
#ifndef PROTOCOLS_SMTP_DATA_H
#define PROTOCOLS_SMTP_DATA_H

#include "protocols/span.h"

enum smtp_data_result {
	SMTP_DATA_MORE, /* the first *used bytes belong to the message and are clean */
	SMTP_DATA_END,  /* the same, and the final dot with its CRLF is the last of them */
	SMTP_DATA_BAD, /* the first *used bytes are clean, the next is a bare CR, a bare LF or NUL */
};

struct smtp_data {
	bool inside_line; /* zero: at the start of a line */
};

enum smtp_data_result smtp_data_scan(struct smtp_data *, const char *data, size_t len,
				     size_t *used);

#endif
