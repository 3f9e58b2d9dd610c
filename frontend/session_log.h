/* session_log - the lines about a session, each of which names protocol, listener and client; none ever holds a password. What
 * is told is also counted here (metrics.h).
 */
#ifndef FRONTEND_SESSION_LOG_H
#define FRONTEND_SESSION_LOG_H

#include "frontend/log.h"
#include "frontend/session.h"

/* Begins a line; the caller adds fields and ends it. */
void session_log(const struct session *, struct log_line *, enum log_level, const char *event);
/* The whole story. */
void session_log_end(const struct session *);
void session_log_refused(const struct session *, const char *reason);
/* "auth_failed" (the credential is wrong) or "auth_temporary" (nothing is known about it) */
/* A refused login; repeated: the very same was refused before. */
void session_log_failed(const struct session *, const char *why, bool repeated);
void session_log_auth(const struct session *, const char *event, const char *why);
void session_log_login(const struct session *); /* accepted */
/* A credential came before TLS; user may be empty: not known. */
void session_log_exposed(const struct session *, struct span user);

#endif
