/* children - the supervisor's table of processes: start, wiring, configuration, death, restart.
 * Invariants: a child is over when its process has been reaped and its channel has ended, in either order, so its last words
 * are heard; one setter of its state (child_enter); work channels exist between prepared children only and both ends
 * hear of a death; an incarnation is never 0 and never that of another living child. While a generation is being
 * prepared every child that starts is given that one; whoever is not ready when it is committed has never served another.
 */
#ifndef FRONTEND_CHILDREN_H
#define FRONTEND_CHILDREN_H

#include "frontend/account.h"
#include "frontend/certificates.h"
#include "frontend/channel.h"
#include "frontend/config.h"
#include "frontend/listening.h"
#include "frontend/shared.h"
#include "frontend/spawn.h"

enum child_state {
	CHILD_ABSENT,    /* no process; perhaps waiting for its restart */
	CHILD_PREPARING, /* started, its first PREPARE sent */
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
	bool wanted;      /* to be there: started again when it dies */
	bool ready;       /* has answered READY for the generation that it was given last */
	uint32_t given;   /* that generation */
	uint32_t serving; /* the one that it has said to serve; 0: none */
	unsigned books;   /* keeper, token: given alone, and not answered yet */
	pid_t pid;        /* 0: reaped */
	int status;       /* of waitpid(), once reaped */
	struct channel channel;
	/* PREPARING, LEAVING: until it is killed; ABSENT: until it is started again */
	ev_timer timer;
};

/* How often a role dies. */
struct child_role {
	ev_tstamp deaths[5]; /* the last ones, a ring */
	unsigned next;
	ev_tstamp pause; /* before the next start; 0: none */
	ev_tstamp last;
};

/* One generation of what children are given; number 0: none. Borrowed. */
struct children_setup {
	uint32_t number;
	const struct config *config;
	const struct listening *listening;
	const struct certificates *certificates; /* with their book */
};

/* What the checker is given. Borrowed. */
struct children_checking {
	const struct config *config;
	const struct certificates *certificates;
	const struct certificates *old; /* whose book `same` is about; NULL: none */
	bool audit;                     /* `audited` is wanted as well */
};

/* What it answers. Borrowed. */
struct children_checked {
	const char *version; /* of the TLS library */
	int *book;           /* a descriptor; who keeps it sets -1 */
	uint32_t refused;    /* how many certificates it has not taken (CERTIFICATE_RENEWAL) */
	struct children_refusal {
		uint32_t index;
		const char *why;
	} * refusals;
};

/* What postern --audit says. Borrowed. */
struct children_audited {
	unsigned findings, notes;
	const void *text;
	size_t len;
};

/* For an entry of the monitor's latest book, whose leaf it names. Borrowed. */
struct children_staple {
	uint32_t index;
	const uint8_t *fingerprint; /* BOOK_ID_LEN octets */
	const void *response;
	size_t len;
};

struct children_handlers {
	/* Everyone is ready for the next generation: children_commit() or children_abort(). */
	void (*prepared)(struct children *);
	/* Everyone serves the generation in force. Told once for each. */
	void (*serving)(struct children *);
	void (*checked)(struct children *, const struct children_checked *);
	/* Before that, where it was wanted. */
	void (*audited)(struct children *, const struct children_audited *);
	/* The monitor has fetched an OCSP response. */
	void (*stapled)(struct children *, const struct children_staple *);
	/* The keeper has the keys of what children_renew() was told, and so has the token process, if there is one. */
	void (*kept)(struct children *);
	/* READY of any child: its warnings, if there are any; told before what READY leads to. */
	void (*warned)(struct children *, const struct child *, const struct config_faults *);
	/* The keeper asks for a key: it goes on, and takes the time that many keys take. */
	void (*busy)(struct children *);
	/* FAILED of any child: its faults. */
	void (*failed)(struct children *, const struct child *, const struct config_faults *);
	/* A child is over. `status` as of waitpid(). */
	void (*over)(struct children *, const struct child *, int status);
};

struct children {
	struct ev_loop *loop;
	const struct children_handlers *handlers;
	void *owner;
	struct children_setup now, next; /* in force; being prepared */
	const struct certificates
		*renewed; /* the keeper has their book, the others do not yet; NULL: none */
	struct children_checking checking;
	struct shared *counters; /* the supervisor's own mapping of `shared` */
	struct spawner spawner;
	struct log_output log; /* what children get; the descriptor is the caller's */
	int shared;            /* another */
	struct account accounts[CHILD_KINDS];
	ev_child reaper;
	struct child checker;
	struct child *
		items; /* workers, room for authentication processes, the keeper, the monitor, the token process */
	unsigned workers, count;
	unsigned last_incarnation;
	uint32_t
		last_number; /* of a generation: a late answer to one that was dropped fits no other */
	bool settled;        /* everyone serves the generation in force, and it has been told */
	bool restarting;     /* who dies is started again */
	struct child_role roles[CHILD_KINDS];
};

/* 0, or -1 with errno. The caller has zeroed it and set loop, handlers, owner, log, shared and accounts. */
int children_init(struct children *, unsigned workers);
void children_cleanup(struct children *); /* none may be alive */

/* Starts the checker. 0, or -1 with errno. */
int children_check(struct children *, const struct children_checking *);
/* It is not to be answered any more: what it was given is gone. */
void children_check_no_more(struct children *);

/* Gives the next generation to everyone who is there, and starts who is missing. It is given a number that none had before. 0, or -1 with
 * errno when a process cannot be started at the very first time. */
int children_prepare(struct children *, const struct children_setup *);
/* Kills who has not answered to PREPARE or COMMIT; the others wait. */
void children_kill_silent(struct children *);
/* The next generation is in force; the caller may free the one before. */
void children_commit(struct children *);
/* The next generation is dropped: who knows no other is started again. */
void children_abort(struct children *);

/* New certificates for the generation in force: the keeper is given their book and tells when it has the keys (`kept`, also when it was not
 * there at first). Then either all get it, and the caller may free those before, or the keeper gets back what is in force. */
void children_renew(struct children *, const struct certificates *);
void children_renew_commit(struct children *);
void children_renew_abort(struct children *);
void children_kill_keeper(
	struct children *); /* and the token process, where either has not answered */
/* The file of ticket keys, opened anew, to the keeper that has the configuration in force or waits for it. */
void children_give_tickets(struct children *, const char *path);
/* The certificates in force are now found there, with the same book. */
void children_move_certificates(struct children *, const struct certificates *);

unsigned children_alive(const struct children *); /* the checker too */
unsigned children_alive_of(const struct children *, enum child_kind);

/* A message without fields to all of a kind; CHILD_KINDS: to all. */
void children_tell(struct children *, enum child_kind, enum control_type);
void children_give_log(struct children *, const struct log_output *); /* CONTROL_LOG to all */
void children_kill(struct children *);                                /* SIGKILL to all */

#endif
