/* watch_table - what the files of the watch share: a pool has servers (one per entry of the configuration), a server has targets (one
 * per address of its name). Private to watch*.c.
 */
#ifndef FRONTEND_WATCH_TABLE_H
#define FRONTEND_WATCH_TABLE_H

#include "frontend/probe.h"
#include "frontend/watch.h"
#include <sys/queue.h>

struct target {
	TAILQ_ENTRY(target) next;
	struct watched_server *server;
	struct address address;
	enum health health;
	bool answered; /* once at least: facts are of the last time */
	struct probe_facts facts;
	double seconds;
	ev_tstamp looked; /* when the last probe began */
	ev_timer due;
	struct probe_run *run; /* NULL: none */
	bool told;             /* by the run, which now says goodbye */
};

TAILQ_HEAD(targets, target);

struct watched_server {
	struct watched_pool *pool;
	const struct config_server *config;
	uint32_t index; /* in the configuration of the pool */
	bool named;     /* to be looked up */
	bool failing;   /* the last look-up failed, and that has been told */
	ev_timer due;
	struct targets targets;
};

struct watched_pool {
	struct watch *watch;
	const struct config_pool *config;
	struct tls_context *tls;
	struct probe_settings settings;
	struct watched_server *servers;
	size_t count;
	bool identity_told;
};

struct watch {
	struct ev_loop *loop;
	struct resolver *resolver;
	struct config *config;
	uint32_t generation;
	const struct watch_handlers *handlers;
	void *owner;
	struct watched_pool *pools;
};

/* Around that many seconds, so that not all of a house come at once. */
double watch_jittered(double seconds);
void watch_set_due(struct watch *, ev_timer *, double seconds);
void watch_tell(const struct watched_pool *); /* the handler, about that pool */

/* ---- addresses (watch_target.c) ---- */

struct target *target_new(struct watched_server *, const struct address *); /* in no list yet */
void target_free(struct target *); /* in no list any more */
struct target *target_find(const struct targets *, const struct address *);
struct target *target_find_in_pool(const struct watched_pool *, const struct address *);

/* ---- names (watch_name.c) ---- */

/* The timer of a server: asks the resolver; the answer sets it again. */
void watch_name_due(struct ev_loop *, ev_timer *, int events);

#endif
