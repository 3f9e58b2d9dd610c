/* submission - after login to submission: the relay that stays aware of commands (protocols/smtp_relay.h). */
#ifndef FRONTEND_SUBMISSION_H
#define FRONTEND_SUBMISSION_H

#include "frontend/session.h"

/* `met`: what the server's EHLO reply offered. False: out of memory. */
bool submission_begin(struct session *, const struct smtp_extensions *met);
/* One step in RELAY; true: call again. */
bool submission_step(struct session *);
/* Which side's bytes it would read now. */
bool submission_wants_client(const struct session *);
bool submission_wants_backend(const struct session *);
/* 421 with that enhanced code and text, then the end. */
void submission_farewell(struct session *, const char *code, const char *text, const char *reason);

#endif
