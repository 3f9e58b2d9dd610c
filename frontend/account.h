/* account - the users that children become.
 * Invariants: root is never one of them.
 */
#ifndef FRONTEND_ACCOUNT_H
#define FRONTEND_ACCOUNT_H

#include "frontend/config.h"

struct account {
	uid_t uid; /* 0: stay, since we were not started as root */
	gid_t gid;
};

/* Of `user`, `auth_user` and their defaults. False when one does not exist or is root: the fault names it with `path`.
 * What an operator should know besides is logged, unless only the configuration is checked. */
bool account_find(const struct config *, const char *path, bool only_check, struct account *worker,
		  struct account *auth, struct config_faults *);

#endif
