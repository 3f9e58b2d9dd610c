/* line - cuts a peer's bytes into CRLF lines.
 * Invariants: reads only [data, data+len); a line ends at CRLF and nowhere else; a line over the maximum is an error,
 * never cut. Resumable: *scanned says how many bytes at data were searched before; zero it for a new line.
 * RFC 5321 2.3.8 and 4.5.3.1.4, RFC 9051 2.2, RFC 2449 4.
 */
#ifndef PROTOCOLS_LINE_H
#define PROTOCOLS_LINE_H

#include "protocols/span.h"

enum line_result {
	LINE_MORE,  /* no end yet */
	LINE_WHOLE, /* *line without its CRLF; the bytes used are line->len + LINE_END_SIZE */
	LINE_BAD,   /* the same, but it holds NUL or a bare CR: refuse it */
	LINE_BARE_LF, /* a LF without CR: two readers may see two different ends, so end the session */
	LINE_LONG,    /* no end within the maximum */
};

#define LINE_END_SIZE 2

/* `max` counts the CRLF. *scanned is zeroed with each result but LINE_MORE. */
enum line_result line_cut(const char *data, size_t len, size_t max, size_t *scanned,
			  struct span *line);

#endif
