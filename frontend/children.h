/* children - the supervisor's table of processes: start, wiring, death, restart.
 * Invariants: a child is over when its process has been reaped and its channel has ended, in either order, so its last words
 * are heard; one setter of its state (children.c, child_enter); work channels exist between prepared children only
 * and both ends hear of a death; an incarnation is never 0 and never that of another living child.
 */
#ifndef FRONTEND_CHILDREN_H
#define FRONTEND_CHILDREN_H

#include "frontend/account.h"
#include "frontend/channel.h"
#include "frontend/config.h"
#include "frontend/limit.h"
#include "frontend/listening.h"
#include "frontend/spawn.h"

#define CHILDREN_AUTH 2 /* authentication processes */

enum child_state {
	CHILD_ABSENT,    /* no process; perhaps waiting for its restart */
	CHILD_PREPARING, /* started, PREPARE sent */
	CHILD_PREPARED,  /* READY has come, wired to its peers, waits for COMMIT */
	CHILD_RUNNING,
	CHILD_LEAVING, /* its channel has ended, or its process: the other is awaited */
};

struct children;

struct child {
	struct children *all;
	enum child_kind kind;
	unsigned index, incarnation;
	enum child_state state;
	pid_t pid;  /* 0: reaped */
	int status; /* of waitpid(), once reaped */
	struct channel channel;
	ev_timer
		timer; /* PREPARING, LEAVING: until it is killed; ABSENT: until it is started again */
};

/* How often a role dies. */
struct child_role {
	ev_tstamp deaths[5]; /* the last ones, a ring */
	unsigned next;
	ev_tstamp pause; /* before the next start; 0: none */
	ev_tstamp last;
};

struct children_handlers {
	/* All children of the first start are prepared: children_commit() lets them begin. */
	void (*prepared)(struct children *);
	/* The checker's answer: the TLS library's version. */
	void (*checked)(struct children *, const char *version);
	/* FAILED of any child: its faults. */
	void (*failed)(struct children *, const struct child *, const struct config_faults *);
	/* A child is over. `status` as of waitpid(). */
	void (*over)(struct children *, const struct child *, int status);
};

struct children {
	struct ev_loop *loop;
	const struct children_handlers *handlers;
	void *owner;
	const struct config *config;
	const struct listening *listening;
	struct limit_map *limits;
	struct spawner spawner;
	int log, shared; /* descriptors that children get */
	struct account accounts[CHILD_KINDS];
	ev_child reaper;
	struct child checker;
	struct child *items; /* workers, then authentication processes */
	unsigned workers, count;
	unsigned last_incarnation;
	bool committed;  /* who becomes ready may begin at once */
	bool restarting; /* who dies is started again */
	struct child_role roles[CHILD_KINDS];
};

/* 0, or -1 with errno. The caller has zeroed it and set loop, handlers, owner, config, log, shared and accounts. */
int children_init(struct children *, unsigned workers);
void children_cleanup(struct children *); /* none may be alive */

int children_check(struct children *); /* starts the checker; 0, or -1 with errno */
int children_start(struct children *); /* starts all others; 0, or -1 with errno */
void children_commit(struct children *);
unsigned children_alive(const struct children *); /* the checker too */
unsigned children_alive_of(const struct children *, enum child_kind);

/* A message without fields to all of a kind; CHILD_KINDS: to all. */
void children_tell(struct children *, enum child_kind, enum control_type);
void children_give_log(struct children *, int fd); /* CONTROL_LOG to all */
void children_kill(struct children *);             /* SIGKILL to all */

#endif
