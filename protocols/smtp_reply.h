/* smtp_reply - the grammar of what a backend says: replies of one or more lines.
 * Invariants: line by line, so that a long reply needs no long buffer; every line of a reply has the same code; lines
 * and their number are bounded; a malformed line is an error, never repaired.
 * RFC 5321 4.2, 4.5.3.1.5.
 */
#ifndef PROTOCOLS_SMTP_REPLY_H
#define PROTOCOLS_SMTP_REPLY_H

#include "protocols/span.h"

#define SMTP_REPLY_LINE_MAX  2000 /* with its CRLF; the RFC has 512, and real servers pass it */
#define SMTP_REPLY_LINES_MAX 256

enum smtp_reply_result {
	SMTP_REPLY_MORE, /* no whole line yet */
	SMTP_REPLY_LINE, /* a line, and more of the same reply will follow */
	SMTP_REPLY_LAST, /* the last line of a reply */
	SMTP_REPLY_BAD,  /* no reply, or over a bound */
};

/* Zero it before each reply. */
struct smtp_reply {
	unsigned code;
	unsigned lines; /* read so far */
	size_t scanned;
	struct span line; /* the line just read, with its CRLF */
	struct span text; /* the same behind the code */
};

/* Reads one line at data; the bytes used are line.len. */
enum smtp_reply_result smtp_reply_next(struct smtp_reply *, const char *data, size_t len);

#endif
