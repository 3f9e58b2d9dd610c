/* reload - a new configuration in place of the one in force, without ending a session.
 * Steps: load and check as a whole; the checker child builds it; sockets of new addresses are bound; every child prepares it; then
 * all are told to serve it. Any fault before that drops it, and nothing has changed.
 * Invariants: one at a time (a request meanwhile is remembered, once); who does not answer in time is replaced.
 */
#ifndef FRONTEND_RELOAD_H
#define FRONTEND_RELOAD_H

#include "frontend/children.h"

enum reload_step { RELOAD_NONE, RELOAD_CHECKING, RELOAD_PREPARING, RELOAD_COMMITTED };

struct reload {
	struct children *children;
	struct listening *listening;        /* in force */
	struct config **config;             /* in force */
	struct certificates **certificates; /* in force */
	const char *path;
	/* The supervisor's own part, once it is in force; the one before is freed after it returns. */
	void (*applied)(struct reload *, const struct config *before);
	/* The last of a reload: whether it is in force. */
	void (*ended)(struct reload *, bool done);

	enum reload_step step;
	bool again;     /* asked for once more meanwhile */
	bool replacing; /* who did not answer in time has been killed */
	struct config *next;
	struct listening next_listening;
	struct certificates *next_certificates;
	const char *kept; /* options that need a restart */
	ev_timer deadline;
};

/* The caller has zeroed it and set the first group of members. */
void reload_init(struct reload *);
void reload_begin(struct reload *);
void reload_cancel(struct reload *); /* we are about to end; may be called twice */

/* What the children tell, while reload_active(). */
bool reload_active(const struct reload *);
/* Whether what the child was given last is the configuration that is on its way. */
bool reload_concerns(const struct reload *, const struct child *);
void reload_checked(struct reload *, const struct children_checked *);
void reload_failed(struct reload *, const struct child *, const struct config_faults *);
void reload_checker_over(struct reload *);
void reload_busy(struct reload *); /* the keeper fetches keys: it is waited for */
void reload_prepared(struct reload *);
/* Each as an event `reload`. */
void reload_log_faults(const struct config_faults *);
void reload_serving(struct reload *);

#endif
