/* relay - after login to IMAP and POP3: bytes both ways, opaque, with back-pressure. Submission has its own (submission.h).
 * Invariants: a full queue on one side stops reading on the other; an idle relay holds no buffers.
 */
#ifndef FRONTEND_RELAY_H
#define FRONTEND_RELAY_H

#include "frontend/session.h"

/* One step in RELAY; true: call again. */
bool relay_step(struct session *);
/* Which side's bytes it would read now. */
bool relay_wants_client(const struct session *);
bool relay_wants_backend(const struct session *);
#endif
