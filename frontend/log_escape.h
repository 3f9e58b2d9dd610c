/* log_escape - a value from outside as text that can forge nothing: for a line in logfmt, in JSON, and for a field of the journal.
 * Invariants: pure; what is written is valid UTF-8 without control characters; a letter is written whole or not at all. Read back
 * (JSON's own escapes first), `\xNN` is a byte and `\` before anything else that very character, so nothing is lost.
 */
#ifndef FRONTEND_LOG_ESCAPE_H
#define FRONTEND_LOG_ESCAPE_H

#include "protocols/span.h"

enum log_escaping {
	LOG_ESCAPE_LOGFMT,  /* between quotation marks: \xNN \\ \" */
	LOG_ESCAPE_JSON,    /* the same text as a JSON string (RFC 8259 7): \\xNN \\\\ \" */
	LOG_ESCAPE_JOURNAL, /* without quotation marks around it: \xNN \\ */
};

#define LOG_ESCAPE_WORST 5 /* octets written for one of the value, at most */

/* Writes the escaped form of at most `max` octets of value, in at most `room` octets; returns how many it wrote. */
size_t log_escape(struct span value, size_t max, enum log_escaping how, char *out, size_t room);

/* Whether text means the same without quotation marks in logfmt. */
bool log_is_bare(const char *text);

#endif
