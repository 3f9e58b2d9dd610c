/* certificate_watch - tells that files of certificates may have changed: ev_stat on each file, on the folders that they lie in and on every
 * symbolic link on the way to them, since a file that a renamed link leads to has not changed itself.
 * Invariants: what is told is a hint, after a moment of quiet; whoever is told looks at the files. Each path is watched once.
 */
#ifndef FRONTEND_CERTIFICATE_WATCH_H
#define FRONTEND_CERTIFICATE_WATCH_H

#include "frontend/certificates.h"
#include <ev.h>

#define CERTIFICATE_WATCH_QUIET 0.3 /* seconds without a change */
#define CERTIFICATE_WATCH_LONG  2.0 /* seconds after the first at the latest */

struct certificate_watch;

struct certificate_watch *certificate_watch_new(struct ev_loop *, void (*changed)(void *owner),
						void *owner);
void certificate_watch_free(struct certificate_watch *); /* NULL is fine */

/* Watches the files and folders of that list in place of those before, and `others` (paths, NULL at the end; may be NULL). */
void certificate_watch_update(struct certificate_watch *, const struct certificates *,
			      const char *const *others);
size_t certificate_watch_count(const struct certificate_watch *); /* paths */

#endif
