/* child - what every process but the supervisor does before its first message, and what it was started with.
 * Invariants: only its own descriptors stay open; no capabilities; NO_NEW_PRIVS, not dumpable, no core; as root: groups and ids dropped
 * and proven lost; SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGPIPE are ignored: a child obeys its channel alone.
 */
#ifndef FRONTEND_CHILD_H
#define FRONTEND_CHILD_H

#include "frontend/control.h"
#include "frontend/log.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The sanitizers do more than a child of ours may. */
#if defined(__SANITIZE_ADDRESS__)
#define CHILD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHILD_SANITIZED 1
#endif
#endif
#ifndef CHILD_SANITIZED
#define CHILD_SANITIZED 0
#endif

struct child_start {
	enum child_kind kind;
	unsigned index, incarnation;
	int channel, shared; /* descriptors; shared may be -1 */
	struct log_output log;
	uid_t uid; /* to become; 0: stay (not started as root) */
	gid_t gid;
};

extern const char *const child_kind_names
	[CHILD_KINDS]; /* "worker", "auth", "keeper", "monitor", "token", "checker" */

/* Runs the child of that command line (`postern --child ...`); does not return. */
_Noreturn void child_main(int argc, char **argv);

/* No core dumps, no tracing by others of the same user: for the supervisor as well, which holds the keys. `exiting`: the
 * process is about to end and a leak checker may look at it. */
void child_undumpable(bool exiting);

void child_raise_descriptors(void); /* the soft limit to the hard one, where possible */

/* One function per kind; returns the exit status. */
int worker_run(const struct child_start *);
int auth_process_run(const struct child_start *);
int keeper_run(const struct child_start *);
int token_run(const struct child_start *);
int monitor_run(const struct child_start *);
int checker_run(const struct child_start *);

#endif
