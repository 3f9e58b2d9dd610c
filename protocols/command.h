/* command - the one table of what a client may say, and when.
 * Invariants: the phase mask is checked here once, before any handler runs; the same mask builds the list of
 * capabilities. A command with CMD_SECRET never carries PHASE_PLAIN (a unit test walks every table).
 */
#ifndef PROTOCOLS_COMMAND_H
#define PROTOCOLS_COMMAND_H

#include "protocols/output.h"

enum phase {
	PHASE_PLAIN = 1, /* STARTTLS listener, before the handshake */
	PHASE_TLS = 2,   /* TLS stands, nobody is logged in */
	PHASE_RELAY = 4, /* logged in; only submission still looks at commands here */
};

enum command_flag {
	CMD_SECRET =
		1, /* its arguments are or lead to a credential: never logged, never before TLS */
	CMD_LAST = 2, /* must end a pipelined group (RFC 2920 3.1) */
	CMD_PASSWORD =
		4, /* carries a bare password: shown only where PLAIN or LOGIN is offered, too */
};

struct dialogue;
struct decision;

struct command {
	const char *name; /* upper case; NULL ends the table */
	unsigned phases, flags;
	const char *
		capability; /* what CAPABILITY, CAPA or EHLO shows where it is legal; NULL: nothing */
	void (*apply)(struct dialogue *, struct span args, struct output *, struct decision *);
};

/* Row of that name, or NULL when the protocol does not know it. */
const struct command *command_find(const struct command *table, struct span name);

/* The phase check: the only place where a mask is compared with the phase of a dialogue. */
bool command_is_legal(const struct command *, enum phase);

#endif
