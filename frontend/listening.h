/* listening - the supervisor's listening sockets: one per worker and address; they outlive the workers.
 * Invariants: all are bound before any worker is told of them; a second Postern on the same address is refused. A set is
 * closed as a whole; two sets may share sockets (each holds descriptors of its own).
 */
#ifndef FRONTEND_LISTENING_H
#define FRONTEND_LISTENING_H

#include "frontend/config.h"

struct listening {
	size_t count; /* listeners, in the order of the configuration */
	unsigned workers;
	int *fds;                  /* count x workers; -1: not open */
	struct address *wanted;    /* as configured */
	struct address *addresses; /* as bound: port 0 has become a real one */
	bool has_status;
	int status; /* where the monitor serves its pages, if has_status */
	struct address status_wanted;
};

/* Opens all for that many workers; an address that `before` (NULL: none) has as well keeps its sockets, and the clients that wait
 * there. Returns 0, or an exit status and one fault; then nothing is open. */
int listening_open(struct listening *, const struct config *, unsigned workers,
		   const struct listening *before, struct config_faults *);
void listening_close(struct listening *); /* may be called twice */
int listening_socket(const struct listening *, size_t listener, unsigned worker);
/* "127.0.0.1:1587,[::1]:1993" of all; the caller frees it. NULL: out of memory. */
char *listening_text(const struct listening *);

#endif
