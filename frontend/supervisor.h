/* supervisor - the first process: checks, binds, starts the others and keeps them alive.
 * Invariants: speaks to no client; touches neither the TLS library nor SASL.
 */
#ifndef FRONTEND_SUPERVISOR_H
#define FRONTEND_SUPERVISOR_H

enum supervisor_task {
	SUPERVISOR_SERVE, /* in the foreground until it is stopped */
	SUPERVISOR_CHECK, /* check the configuration, bind nothing, and say so */
	SUPERVISOR_AUDIT, /* the same, and say what it offers and which standard it breaks */
};

#define SUPERVISOR_FINDINGS 1 /* exit status of an audit that has found something */

/* Returns the exit status (sysexits.h). */
int supervisor_run(const char *path, enum supervisor_task);

#endif
