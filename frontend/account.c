/* account - see account.h. */
#include "frontend/account.h"
#include "frontend/log.h"
#include <pwd.h>
#include <unistd.h>

static bool look_up(const char *name, const char *path, struct account *account,
		    struct config_faults *faults)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry) {
		config_fault(faults, false, path, 0, "user \"%s\" does not exist", name);
		return false;
	}
	if (entry->pw_uid == 0) {
		config_fault(faults, false, path, 0, "user \"%s\" is root", name);
		return false;
	}
	*account = (struct account) { .uid = entry->pw_uid, .gid = entry->pw_gid };
	return true;
}

bool account_find(const struct config *config, const char *path, bool only_check,
		  struct account *worker, struct account *auth, struct config_faults *faults)
{
	const char *user = config->user;

	*worker = *auth = (struct account) { 0 };
	if (geteuid() != 0) {
		if (!only_check && (user || config->auth_user))
			log_event(LOG_LEVEL_INFO, "supervisor",
				  "not started as root: user and auth_user are ignored");
		return true;
	}
	if (!user && getpwnam("postern"))
		user = "postern";
	if (!user) {
		user = "nobody";
		if (!only_check)
			log_event(LOG_LEVEL_WARNING, "supervisor",
				  "no user \"postern\": running as \"nobody\"");
	}
	return look_up(user, path, worker, faults) &&
	       look_up(config->auth_user ? config->auth_user : user, path, auth, faults);
}
