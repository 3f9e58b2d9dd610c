/* smtp_command - the grammar of what a submission client says: one line, its verb, its arguments.
 * Invariants: works on a line whose CRLF has been cut off; spans in the results point into it; no state.
 * RFC 5321 4.1.1, 4.1.2, 4.1.3; RFC 3030 2; RFC 6531 3.3 (UTF-8 in arguments).
 */
#ifndef PROTOCOLS_SMTP_COMMAND_H
#define PROTOCOLS_SMTP_COMMAND_H

#include "protocols/span.h"
#include <stdint.h>

struct smtp_command {
	struct span verb; /* letters only, at least one */
	struct span args; /* without the blanks around them; may be empty */
};

/* MAIL FROM:<path> parameters, RCPT TO:<path> parameters. */
struct smtp_envelope {
	struct span path;       /* with its angle brackets */
	struct span parameters; /* without the blanks around them; may be empty */
};

/* False when the line is no command: a verb not at column 0, a control character, broken UTF-8. */
bool smtp_command_parse(struct span line, struct smtp_command *);

/* `keyword` is "FROM:" or "TO:". Blanks between it and the path are taken (common in old clients). */
bool smtp_envelope_parse(struct span args, const char *keyword, struct smtp_envelope *);

/* The octets that follow a BDAT command. False: the size is unreadable, and so is all that follows. */
bool smtp_chunk_parse(struct span args, uint64_t *size, bool *last);

/* A domain or address literal as clients really send them: host names without a dot and underscores are fine. */
bool smtp_name_acceptable(struct span name);

/* Printable ASCII and valid UTF-8 only. */
bool smtp_text_acceptable(struct span text);

#endif
