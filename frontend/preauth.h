/* preauth - a session before its login: TLS, the dialogue, SASL, and the refusals on the way. */
#ifndef FRONTEND_PREAUTH_H
#define FRONTEND_PREAUTH_H

#include "frontend/session.h"

/* One step in ACCEPTED, HANDSHAKE or DIALOGUE; true: call again, there may be more to do. */
bool preauth_step(struct session *);
/* While others are asked: takes bytes that wait, so that a client that goes away is noticed. */
void preauth_listen(struct session *);
bool preauth_wants_more(const struct session *);
/* From the auth process. */
void preauth_answer(struct session *, const struct auth_answer *);
/* The credential was wrong: counted, logged, and told to the client after the delay. */
void preauth_refused(struct session *, enum verdict, const char *why);
/* Something of ours or behind us failed: told at once, not counted. code: POP3's, or "". */
void preauth_temporary(struct session *, const char *code, const char *why);
/* Tells the verdict after so many milliseconds. */
void preauth_delay(struct session *, enum verdict, unsigned milliseconds);
void preauth_delay_over(struct session *);
/* Sends the dialogue's words for that verdict. */
void preauth_verdict(struct session *, enum verdict, struct span text);

#endif
