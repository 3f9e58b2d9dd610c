/* probe - one look at one address of a server: connection, TLS, and the protocol's questions (protocols/probe.h).
 * Invariants: ends by its deadline, and then tells exactly one result; TLS is verified as for a login; no credential is sent.
 */
#ifndef FRONTEND_PROBE_H
#define FRONTEND_PROBE_H

#include "frontend/transport.h"
#include "protocols/probe.h"

struct probe_run;

/* What the pool says of all its servers; borrowed as long as the probe runs. */
struct probe_settings {
	const struct config_pool *pool;
	struct tls_context *tls; /* NULL: the leg is plain */
	const char *hostname;
	double timeout; /* seconds for all of it */
};

struct probe_outcome {
	bool up;
	struct probe_facts facts; /* when it is up */
	char reason[128];         /* when it is not */
	double seconds;
};

struct probe_handlers {
	void (*done)(void *owner, const struct probe_outcome *); /* once */
	void (*over)(void *owner); /* behind it: the run has said goodbye and is gone */
};

/* NULL without memory. The handlers are called from the loop, never from inside. `name` is the one in the certificate. */
struct probe_run *probe_start(struct ev_loop *, const struct probe_settings *, const char *name,
			      const struct address *, const struct probe_handlers *, void *owner);
/* Forgets it: nothing more is told. */
void probe_cancel(struct probe_run *);

#endif
