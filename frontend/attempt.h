/* attempt - a login attempt of a session on its way past the rules against guessing (guess.h).
 * An attempt is looked at twice: before SASL is asked, by where it comes from (and by its name, where that is known), and when SASL
 * has told its name, by that too; before the store is asked it may also have to wait. Its verdict is counted when it is
 * "wrong", and never when something of ours or behind us failed.
 * Invariant: what SASL made of a password is not told to those who are refused: right and wrong look alike to them.
 */
#ifndef FRONTEND_ATTEMPT_H
#define FRONTEND_ATTEMPT_H

#include "frontend/session.h"

/* Before SASL is asked; the session is in AUTH. False: refused for now, and the client will be told. */
bool attempt_begin(struct session *, const struct decision *);
void attempt_response(struct session *, struct span response); /* a further step of it */

/* The session holds a credential: goes on to the store, at once, after a delay, or not at all. Also when that delay is over. */
void attempt_login(struct session *);

/* SASL challenges or refuses whom the session knows by now, if it does. False: refused for now, and the client will be told that
 * in place of SASL's answer. */
bool attempt_answered(struct session *);
/* Milliseconds that SASL's refusal, or its challenge to a name, has still to wait: where SASL decides, an attempt is not held before. */
unsigned attempt_delay(const struct session *);

/* The verdict. attempt_refused() is false when the very same was refused before: counted once. */
bool attempt_refused(struct session *);
void attempt_accepted(struct session *);
/* No verdict, or it has been counted; also twice. Whatever ends a session or an attempt calls it. */
void attempt_over(struct session *);

#endif
