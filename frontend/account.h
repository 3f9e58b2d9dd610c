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

/* Of `user`, `auth_user`, `keeper_user` and their defaults, for each kind of child. False when one does not exist or is root: the fault
 * names it with `path`. What an operator should know besides is logged, unless only the configuration is checked. */
bool account_find(const struct config *, const char *path, bool only_check,
		  struct account out[CHILD_KINDS], struct config_faults *);

/* Whom the authentication processes run as; NULL: they stay what we are, since we were not started as root. */
const char *account_auth_name(const struct config *);
/* Tries to open a file as that account. 0, or the errno. */
int account_try_read(const struct account *, const char *path);

#endif
