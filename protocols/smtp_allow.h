/* smtp_allow - which commands pass after login, and in what shape.
 * Invariants: the allow-list is the rows of the command table with PHASE_RELAY; what is written for the backend is built
 * from the table's verb and from parsed arguments, one blank between them, with the parameters that the server met knows.
 * RFC 5321 4.1.1; RFC 6409; RFC 3030 2.
 */
#ifndef PROTOCOLS_SMTP_ALLOW_H
#define PROTOCOLS_SMTP_ALLOW_H

#include "protocols/output.h"
#include "protocols/smtp_command.h"
#include "protocols/smtp_params.h"
#include "protocols/smtp_queue.h"

struct smtp_allowed {
	const char *verb;    /* canonical */
	const char *keyword; /* "FROM:", "TO:", or "" */
	struct span args;    /* point into the line */
	struct smtp_params params;
	enum smtp_owed_type owed; /* what the client waits for; SMTP_OWED_CHUNK: BDAT */
};

/* NULL when the line is a command that may pass; else the reply that refuses it. The arguments of BDAT are not
 * looked at. */
const char *smtp_allow(struct span line, const struct smtp_params_rules *, struct smtp_allowed *);

/* The command for the backend, any but BDAT; false, and nothing written, when there is no room. */
bool smtp_allowed_write(const struct smtp_allowed *, struct output *backend);

#endif
