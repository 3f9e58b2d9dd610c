/* watch - what the monitor knows of the servers of one configuration: names, addresses, health, capabilities; and when it looks again.
 * Invariants: an address is probed by one run at a time, at its interval with a jitter, sooner while it is down or under suspicion; a
 * name keeps its last good addresses when a look-up fails; a change of health is logged once, for the whole house. Each change
 * of what workers should know is told by one call of `changed`.
 */
#ifndef FRONTEND_WATCH_H
#define FRONTEND_WATCH_H

#include "frontend/publication.h"
#include "frontend/resolver.h"

struct watch;

struct watch_handlers {
	void (*changed)(void *owner, struct watch *, size_t pool);
};

/* Takes the configuration, also when it fails; then NULL, and every fault is in faults. `earlier` (NULL: none): what it knows of the
 * same pools is taken over. */
struct watch *watch_new(struct ev_loop *, struct resolver *, struct config *, uint32_t generation,
			const struct watch *earlier, const struct watch_handlers *, void *owner,
			struct config_faults *);
/* Begins to look, at all of them within a second; with an interval of 0 only for the addresses of names, and once. */
void watch_start(struct watch *);
void watch_free(struct watch *); /* NULL is fine */

const struct config *watch_config(const struct watch *);
uint32_t watch_generation(const struct watch *);
/* What is known of that pool, as the workers are told. */
void watch_publication(const struct watch *, size_t index, struct published_pool *out);
/* A login failed there: it is looked at now. */
void watch_suspect(struct watch *, const struct published_suspect *);
/* An answer of the resolver; one to a question of another watch is dropped. */
void watch_resolved(struct watch *, const struct resolver_answer *);

/* Each address in turn, for the metrics. */
struct watch_view {
	const char *pool, *host;
	const struct address *address;
	enum health health;
	double seconds; /* that the last probe took; 0: none yet */
};
void watch_each(const struct watch *, void (*show)(void *owner, const struct watch_view *),
		void *owner);
/* Whether a login that is led to that pool has a server that is not known to be down. */
bool watch_pool_usable(const struct watch *, size_t index);

#endif
