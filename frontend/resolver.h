/* resolver - looks names up without stopping the loop: one thread that asks the system's name service, one answer at a time.
 * Invariants: what waits is bounded; the thread touches nothing but the question that it has and the list of answers, under one
 * lock; answers are handed out in the loop, never from inside resolver_ask().
 */
#ifndef FRONTEND_RESOLVER_H
#define FRONTEND_RESOLVER_H

#include "frontend/config.h"
#include <ev.h>

#define RESOLVER_WAITING_MAX 1024

struct resolver;

struct resolver_answer {
	uint64_t id;       /* of the question */
	const char *error; /* NULL, or why there is no address: a literal of the system */
	size_t count;
	struct address addresses[CONFIG_SERVERS_MAX]; /* both families, in the system's order */
};

/* NULL without memory or thread. */
struct resolver *resolver_new(struct ev_loop *,
			      void (*answered)(void *owner, const struct resolver_answer *),
			      void *owner);
/* No answers any more. A look-up that is under way is left to end by itself. NULL is fine. */
void resolver_free(struct resolver *);
/* No answers to what has been asked so far. */
void resolver_forget(struct resolver *);
/* 0, or -1 when too many wait. */
int resolver_ask(struct resolver *, uint64_t id, const char *host, int port);

/* One look-up as that thread makes it, for who may wait for minutes: 0 and at most CONFIG_SERVERS_MAX addresses, or what
 * gai_strerror() explains. */
int resolver_look_up(const char *host, int port, struct address *out, size_t *count);

#endif
