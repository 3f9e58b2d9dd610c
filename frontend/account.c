/* account - see account.h. */
#include "frontend/account.h"
#include "frontend/log.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/wait.h>
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
		  struct account out[CHILD_KINDS], struct config_faults *faults)
{
	const char *user = config->user;

	for (int kind = 0; kind < CHILD_KINDS; kind++)
		out[kind] = (struct account) { 0 };
	if (geteuid() != 0) {
		if (!only_check && (user || config->auth_user || config->keeper_user))
			log_event(LOG_LEVEL_INFO, "supervisor",
				  "not started as root: user, auth_user and keeper_user are "
				  "ignored");
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
	if (!look_up(user, path, &out[CHILD_WORKER], faults) ||
	    !look_up(config->auth_user ? config->auth_user : user, path, &out[CHILD_AUTH],
		     faults) ||
	    !look_up(config->keeper_user ? config->keeper_user : user, path, &out[CHILD_KEEPER],
		     faults))
		return false;
	out[CHILD_TOKEN] = out[CHILD_KEEPER];
	out[CHILD_MONITOR] = out[CHILD_CHECKER] = out[CHILD_WORKER];
	return true;
}

const char *account_auth_name(const struct config *config)
{
	if (geteuid() != 0)
		return NULL;
	if (config->auth_user)
		return config->auth_user;
	if (config->user)
		return config->user;
	return getpwnam("postern") ? "postern" : "nobody";
}

static int try_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Nothing but the kernel knows all that decides (groups, access lists, modules): a process of that account asks it. */
int account_try_read(const struct account *account, const char *path)
{
	pid_t child;
	int status;

	if (account->uid == 0)
		return try_read(path);
	child = fork();
	if (child == 0) {
		if (setgroups(1, &account->gid) < 0 ||
		    setresgid(account->gid, account->gid, account->gid) < 0 ||
		    setresuid(account->uid, account->uid, account->uid) < 0)
			_exit(errno);
		_exit(try_read(path));
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	if (child < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}
