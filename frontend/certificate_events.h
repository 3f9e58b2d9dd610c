/* certificate_events - what is told of certificates: renewed, refused, removed, about to expire. */
#ifndef FRONTEND_CERTIFICATE_EVENTS_H
#define FRONTEND_CERTIFICATE_EVENTS_H

#include "frontend/certificates.h"

/* What is new in `now`, and what has gone, since `old`. */
void certificate_log_changes(const struct certificates *now, const struct certificates *old);
/* Files that are not used; `file` is what it is about. */
void certificate_log_refused(const char *file, const char *why);
void certificate_log_warnings(const struct config_faults *);
/* Each that ends within three weeks, or has ended. */
void certificate_log_expiring(const struct certificates *, int64_t now);

#endif
