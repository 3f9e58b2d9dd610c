/* imap_reply - one line of an IMAP backend, taken apart.
 * Invariants: spans point into the line. RFC 9051 2.2.2, 7 and 9.
 */
#ifndef PROTOCOLS_IMAP_REPLY_H
#define PROTOCOLS_IMAP_REPLY_H

#include "protocols/span.h"

enum imap_reply_type { IMAP_REPLY_UNTAGGED, IMAP_REPLY_TAGGED, IMAP_REPLY_CONTINUATION };

enum imap_condition {
	IMAP_CONDITION_NONE, /* untagged data */
	IMAP_CONDITION_OK,
	IMAP_CONDITION_NO,
	IMAP_CONDITION_BAD,
	IMAP_CONDITION_BYE,
	IMAP_CONDITION_PREAUTH,
};

struct imap_reply {
	enum imap_reply_type type;
	enum imap_condition condition;
	struct span tag;
	struct span name;  /* first word of untagged data: "CAPABILITY" */
	struct span value; /* what follows it */
	struct span code;  /* first word in the brackets, empty without */
	struct span code_value;
	bool has_literal; /* the line goes on behind a literal */
};

/* False when the line is none of a server: no tag, a tagged line without a condition, a bracket that stays open. */
bool imap_reply_parse(struct span line, struct imap_reply *out);

#endif
