/* limit - how many sessions there may be, in all and from one address, counted over all workers.
 * Invariants: a section of the shared mapping (shared.h); the supervisor clears the column of a dead worker; fixed size, the
 * least entry gives way when a row is full; IPv6 is keyed by its /64. Values read are taken with care (another
 * process wrote them): they only ever make us refuse or admit. `worker` is always one of the mapping's.
 */
#ifndef FRONTEND_LIMIT_H
#define FRONTEND_LIMIT_H

#include "frontend/shared.h"
#include <sys/socket.h>

/* For shared.c. */
size_t limit_size(unsigned workers);
void limit_clear(struct shared *, unsigned worker); /* that worker has died */

enum limit_verdict { LIMIT_ADMITTED, LIMIT_SESSIONS, LIMIT_ADDRESS };

/* Counts a session of `worker` from that address, unless a maximum (0: none) is reached. exempt: only counted. */
enum limit_verdict limit_enter(struct shared *, unsigned worker, const struct sockaddr *,
			       unsigned max_sessions, unsigned max_per_address, bool exempt);
void limit_leave(struct shared *, unsigned worker, const struct sockaddr *);
unsigned limit_sessions(const struct shared *); /* over all workers */
unsigned limit_sessions_of(const struct shared *,
			   const struct sockaddr *); /* the same, of one address */

#endif
