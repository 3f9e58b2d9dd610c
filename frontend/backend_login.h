/* backend_login - route, connect, TLS, login: from a captured credential to a relay, or back to the dialogue.
 * Invariants: the credential is wiped on every way out; a failure becomes the temporary reply, never a hang and never the
 * backend's own words. While nothing of the credential has been sent, a server that fails is followed by the next one.
 */
#ifndef FRONTEND_BACKEND_LOGIN_H
#define FRONTEND_BACKEND_LOGIN_H

#include "frontend/session.h"

/* The session owns a credential: begin. Ends in CONNECT, or back in DIALOGUE. */
void backend_login_begin(struct session *);
/* One step in CONNECT or LOGIN; true: call again. */
bool backend_login_step(struct session *);
/* Seconds that the state CONNECT or LOGIN may still last: until backend_timeout for the whole login, and connect_timeout for this
 * server while another one is left. */
double backend_login_seconds(const struct session *);
/* They have passed. */
void backend_login_timeout(struct session *);
/* Forgets credential, login and connection. */
void backend_login_abandon(struct session *);
/* "old-imap/127.0.0.1:10143" for the log. */
const char *backend_login_name(const struct session *, char out[256]);

#endif
