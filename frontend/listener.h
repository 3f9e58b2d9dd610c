/* listener - accepts on one of the supervisor's sockets and hands each connection to a session, unless a limit is reached. */
#ifndef FRONTEND_LISTENER_H
#define FRONTEND_LISTENER_H

#include "frontend/worker.h"

struct listener {
	struct worker *worker;
	ev_io io;
	int fd;       /* -1: not (any more) open */
	size_t index; /* in the configuration */
};

void listener_init(struct listener *, struct worker *, size_t index);
void listener_open(struct listener *, int fd); /* takes fd */
void listener_start(struct listener *);
void listener_stop(struct listener *); /* for a while */
void listener_close(struct listener *);

#endif
