/* backends - what a worker knows of the servers of one pool: their addresses, who is down, what they can do.
 * Invariants: begins with what the configuration resolved; the monitor's word replaces it, but what a monitor that has just begun
 * does not know yet takes nothing away; an address is only used where the
 * pool allows it (clear text leaves loopback only with plaintext_ok), wherever it came from. A login works on a plan of its
 * own, a copy, so that nothing moves under it.
 */
#ifndef FRONTEND_BACKENDS_H
#define FRONTEND_BACKENDS_H

#include "frontend/publication.h"

struct backend_target {
	size_t server; /* in the pool's configuration */
	struct address address;
	enum health health; /* as the monitor said */
	bool suspect;       /* a login failed there, and none has worked since */
	double held;        /* loop time until when it is tried after the others */
	uint64_t
		doubt; /* whose login failed there last behind its credential; 0: none, or one has worked since */
};

struct backends {
	const struct config_pool *config;
	struct backend_target *targets;
	size_t count;
	bool known;                      /* the monitor found out what they can do */
	struct extension_set extensions; /* stated by the operator, or else found */
};

/* Whether the pool may send passwords there. */
bool backends_allow(const struct config_pool *, const struct address *);

int backends_init(struct backends *, const struct config_pool *); /* 0, or -1 without memory */
void backends_cleanup(struct backends *);
/* Takes over what an earlier configuration's pool of the same name had learned; what a name led to last, too. */
void backends_inherit(struct backends *, const struct backends *earlier);
/* Takes the monitor's word. False without memory, or when it fits this pool in no way; then nothing has changed. */
bool backends_publish(struct backends *, const struct published_pool *);

/* A login failed there for a cause of the server's own: it is tried last until `until`. True when that is news. */
bool backends_failed(struct backends *, const struct address *, double until);
/* It failed behind the credential of that user (a number that stands for him, never 0), which may be about him alone: it counts
 * against the server when it befalls two different users and no login works in between. True when it counts. */
bool backends_doubted(struct backends *, const struct address *, uint64_t user);
/* It works. True when that is news. */
bool backends_worked(struct backends *, const struct address *);

/* The order in which one login tries them. */
struct backend_plan {
	size_t count;
	struct {
		const char *name; /* of the certificate; into the configuration */
		struct address address;
	} choices[];
};

/* Those that are held come behind the others, and those that are down last. `retry`: seconds for which a server that failed is left to this one login to try first.
 * The caller frees it; NULL without memory. */
struct backend_plan *backends_plan(struct backends *, double now, double retry);

#endif
