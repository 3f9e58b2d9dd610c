/* worker_tickets - a worker's copy of the ticket keys: asked of the keeper when the configuration, the keeper or the time wants it.
 * Invariants: without an answer the keys in hand stay for one rotation more and are then wiped; the keeper is asked ever less often while it
 * does not answer, since each call may wait.
 */
#ifndef FRONTEND_WORKER_TICKETS_H
#define FRONTEND_WORKER_TICKETS_H

#include "frontend/keeper_client.h"
#include "frontend/ticket_keys.h"
#include <ev.h>

struct worker_tickets {
	struct ev_loop *loop;
	struct keeper_client *keeper;
	ev_timer timer;
	bool enabled;
	int rotate;          /* seconds */
	double retry, until; /* seconds; loop time at which the keys in hand have had their day */
	struct ticket_keys keys;
};

void worker_tickets_init(struct worker_tickets *, struct ev_loop *, struct keeper_client *);
void worker_tickets_cleanup(struct worker_tickets *); /* wipes */

/* This configuration is in force now. */
void worker_tickets_configure(struct worker_tickets *, const struct config *);
/* Another keeper is there: it has other keys. */
void worker_tickets_ask(struct worker_tickets *);

#endif
