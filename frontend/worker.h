/* worker - one process, one loop: what its sessions share.
 * Invariants: opens no file; obeys its supervisor channel alone; ends when that closes, after a drain.
 */
#ifndef FRONTEND_WORKER_H
#define FRONTEND_WORKER_H

#include "frontend/auth_client.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/generation.h"
#include "frontend/keeper_client.h"
#include "frontend/token_client.h"
#include "frontend/monitor_link.h"
#include "frontend/session_table.h"
#include "frontend/shared.h"
#include "frontend/worker_tickets.h"

struct listener_set;

struct worker {
	const struct child_start *start;
	struct ev_loop *loop;
	struct channel supervisor;
	struct listener_set *serving,
		*prepared; /* each with its generation; serving: NULL before the first COMMIT */
	uint32_t prepared_number;
	struct {
		uint32_t number; /* of the generation that it is for */
		struct book *book;
	} offered; /* what came before the PREPARE of that generation */
	struct auth_client *auth;
	struct worker_tickets tickets;
	struct monitor_link monitor;
	struct keeper_client keeper;
	struct token_client token;
	struct shared *shared;
	struct session_table sessions;
	uint32_t last_session;
	unsigned descriptors; /* that it may have */
	unsigned session_cap; /* what they allow */
	bool confined;        /* the filter of system calls is in force */
	bool draining, drain_deadline_passed;
	ev_timer drain_timer, accept_pause;
	TAILQ_HEAD(, session) resumed; /* want another turn */
	size_t resumed_count;
	ev_prepare janitor;
	ev_check resume;
	ev_idle busy; /* keeps the loop from sleeping while `resumed` is not empty */
};

/* No descriptor is left, or too many sessions: for a moment nothing is accepted. */
void worker_pause_accepting(struct worker *);
/* A session has gone: it counts no more, accepting may go on, and a draining worker may be done. */
void worker_session_ended(struct worker *, struct session *);
/* It has more to do: run it again after the others. */
void worker_resume(struct worker *, struct session *);

#endif
