/* listener - accepts on the supervisor's sockets and hands each connection to a session, unless a limit is reached.
 * Invariants: a set belongs to one generation, and the sessions that it begins keep that one; it never moves.
 */
#ifndef FRONTEND_LISTENER_H
#define FRONTEND_LISTENER_H

#include "frontend/worker.h"

struct listener {
	struct listener_set *set;
	ev_io io;
	int fd;       /* -1: not (any more) open */
	size_t index; /* in the configuration */
};

/* The listeners of one generation. */
struct listener_set {
	struct worker *worker;
	struct generation *generation;
	size_t count;
	struct listener items[];
};

/* Takes the generation, also when memory is out (NULL then); no listener has a socket yet. */
struct listener_set *listener_set_new(struct worker *, struct generation *);
void listener_set_free(struct listener_set *);                       /* closes all; NULL is fine */
void listener_set_open(struct listener_set *, size_t index, int fd); /* takes fd */
void listener_set_start(struct listener_set *);
void listener_set_stop(struct listener_set *); /* for a while */
void listener_set_close(struct listener_set *);
/* Takes who waits there now: for a set that is about to be closed. */
void listener_set_accept(struct listener_set *);

#endif
