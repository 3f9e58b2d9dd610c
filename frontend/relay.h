/* relay - after login: bytes both ways with back-pressure. IMAP and POP3 are opaque; submission stays aware of commands.
 * Invariants: a full queue on one side stops reading on the other; an idle relay holds no buffers.
 */
#ifndef FRONTEND_RELAY_H
#define FRONTEND_RELAY_H

#include "frontend/session.h"

/* One step in RELAY; true: call again. */
bool relay_step(struct session *);
/* The same for submission, through smtp_relay. */
bool submission_begin(struct session *); /* false: out of memory */
bool submission_step(struct session *);
void submission_farewell(struct session *, const char *code, const char *text, const char *reason);

#endif
