/* imap_command - the grammar of IMAP commands before login: tag, name, strings and literals.
 * Invariants: a literal is never invited here, only reported; all lines of a command together stay within line_max, all
 * its literals within literals_max. Spans point into the command's own bytes. RFC 9051 4.3 and 9, RFC 7888, RFC 2971.
 */
#ifndef PROTOCOLS_IMAP_COMMAND_H
#define PROTOCOLS_IMAP_COMMAND_H

#include "protocols/protocol.h"

#define IMAP_COMMAND_LITERALS_MAX 64 /* RFC 2971: 30 pairs */

enum imap_frame {
	IMAP_FRAME_MORE,
	IMAP_FRAME_WHOLE,
	IMAP_FRAME_BAD,    /* whole, but it holds NUL or a bare CR */
	IMAP_FRAME_SYNC,   /* up to a synchronising literal that nobody has invited yet */
	IMAP_FRAME_BROKEN, /* too long, a bare LF or a malformed literal: its end cannot be known */
	IMAP_FRAME_TOO_BIG, /* literals over their bound */
};

struct imap_command {
	struct span tag;  /* empty: malformed or over IMAP_TAG_MAX */
	struct span name; /* empty: malformed */
	struct span
		args; /* data is NULL when no blank follows the name; holds literals with their headers */
	size_t used; /* with WHOLE, BAD and SYNC */
};

/* Finds the first command of data. `invited` is the number of its synchronising literals that were asked for already;
 * *scanned resumes the search. */
enum imap_frame imap_command_read(const char *data, size_t len, const struct dialogue_settings *,
				  unsigned invited, size_t *scanned, struct imap_command *);

/* The tag at the start of data if it is a valid one with a blank behind it, else an empty span. */
struct span imap_command_tag(const char *data, size_t len);

/* The next astring (atom, quoted, literal) of *args, which moves behind it. A quoted string is unescaped in place. */
bool imap_command_astring(struct span *args, struct span *out);
/* True when *args begins with a blank, which is skipped. */
bool imap_command_blank(struct span *args);
/* Checks the argument of ID: NIL or a list of pairs within the bounds of RFC 2971 3.3. */
bool imap_command_id_is_valid(struct span args);

#endif
