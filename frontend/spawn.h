/* spawn - starts our own binary again as a child.
 * Invariants: fork and exec, so no library state is shared; the child has its three descriptors, 0, 1 and 2, nothing else;
 * all signals are blocked across the start, so none meets the supervisor's handlers in the child.
 */
#ifndef FRONTEND_SPAWN_H
#define FRONTEND_SPAWN_H

#include "frontend/child.h"

struct spawner {
	int executable; /* /proc/self/exe as it was at start: an upgrade on disk does not mix versions */
};

int spawn_init(struct spawner *); /* 0, or -1 with errno */
void spawn_cleanup(struct spawner *);
/* Descriptors in start stay the caller's. The pid, or -1 with errno. */
pid_t spawn_child(const struct spawner *, const struct child_start *);

#endif
