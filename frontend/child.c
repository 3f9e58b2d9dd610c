/* child - from exec to the first message: what a process gives up before it listens to anybody; see child.h.
 * Invariants: the order is the checklist of child_confine(); whatever cannot be given up ends the process with a line on
 * stderr and status 70, so that no child ever runs with more than it should have.
 */
#include "frontend/child.h"
#include "protocols/span.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

const char *const child_kind_names[CHILD_KINDS] = {
	[CHILD_WORKER] = "worker",   [CHILD_AUTH] = "auth",   [CHILD_KEEPER] = "keeper",
	[CHILD_MONITOR] = "monitor", [CHILD_TOKEN] = "token", [CHILD_CHECKER] = "checker",
};

_Noreturn static void give_up(const char *what)
{
	fprintf(stderr, "postern: child cannot %s: %s\n", what, strerror(errno));
	_exit(EX_SOFTWARE);
}

void child_undumpable(bool exiting)
{
	/* The leak checker attaches to its own process when it exits. */
	if (exiting && CHILD_SANITIZED)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (exiting)
		return;

	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		give_up("forbid core dumps");
}

static void reset_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1 };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* fails for the few that cannot be changed */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* the supervisor starts us with all blocked */
}

/* 0 and 1 lead nowhere. 2 stays what the supervisor has: only a failed assertion or a sanitizer writes there. */
static void close_others(const struct child_start *start)
{
	int kept[] = { start->channel, start->log.fd, start->shared };
	unsigned first = 3;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		give_up("open /dev/null");
	for (;;) {
		unsigned next = UINT_MAX;

		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (kept[i] >= (int)first && (unsigned)kept[i] < next)
				next = (unsigned)kept[i];
		if (next > first && close_range(first, next == UINT_MAX ? next : next - 1, 0) < 0)
			give_up("close other descriptors");
		if (next == UINT_MAX)
			break;
		first = next + 1;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] >= 0 && fcntl(kept[i], F_SETFD, FD_CLOEXEC) < 0)
			give_up("keep its descriptors");
}

void child_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit); /* if it fails the old one is in force, and obeyed */
}

/* While it still may: with a unit's bounding set of its own it may not, and there is nothing to gain from what is left. */
static void drop_bounding_set(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &header, none) < 0)
		give_up("drop capabilities");
}

static void drop_identity(const struct child_start *start)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	if (start->uid == 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(start->gid, start->gid, start->gid) < 0 ||
	    setresuid(start->uid, start->uid, start->uid) < 0)
		give_up("change its user");
	if (getresuid(&real, &effective, &saved) < 0 || real != start->uid ||
	    effective != start->uid || saved != start->uid || getgroups(0, NULL) != 0 ||
	    getresgid(&real_group, &effective_group, &saved_group) < 0 ||
	    real_group != start->gid || effective_group != start->gid || saved_group != start->gid)
		give_up("prove its user");
	if (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0 ||
	    (start->gid != 0 && setgid(0) == 0))
		give_up("lose the rights of root");
}

static void child_confine(const struct child_start *start)
{
	char name[16];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		give_up("renounce new privileges");
	child_undumpable(false);
	reset_signals();
	close_others(start);
	child_raise_descriptors();
	umask(077);
	if (chdir("/") < 0)
		give_up("leave its folder");
	drop_bounding_set();
	drop_identity(start);
	drop_capabilities();
	child_undumpable(false); /* again: changing ids may have undone it */
	tzset(); /* reads a file, which a worker may not do when it first tells the time */
	snprintf(name, sizeof(name), "postern/%s", child_kind_names[start->kind]);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static bool parse_number(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

/* `postern --child KIND INDEX INCARNATION CHANNEL_FD LOG_FD SHARED_FD UID GID LOG_KIND LOG_FORMAT` */
static bool parse_start(int argc, char **argv, struct child_start *start)
{
	long index, incarnation, channel, log, shared, uid, gid, log_kind, log_format;
	int kind = 0;

	if (argc != 12)
		return false;
	while (kind < CHILD_KINDS && strcmp(argv[2], child_kind_names[kind]) != 0)
		kind++;
	if (kind == CHILD_KINDS || !parse_number(argv[3], 0, 65535, &index) ||
	    !parse_number(argv[4], 1, 65535, &incarnation) ||
	    !parse_number(argv[5], 3, INT_MAX, &channel) ||
	    !parse_number(argv[6], 3, INT_MAX, &log) ||
	    !parse_number(argv[7], -1, INT_MAX, &shared) ||
	    !parse_number(argv[8], 0, UINT_MAX, &uid) ||
	    !parse_number(argv[9], 0, UINT_MAX, &gid) ||
	    !parse_number(argv[10], 0, LOG_KINDS - 1, &log_kind) ||
	    !parse_number(argv[11], 0, LOG_FORMATS - 1, &log_format))
		return false;
	*start = (struct child_start) {
		.kind = (enum child_kind)kind,
		.index = (unsigned)index,
		.incarnation = (unsigned)incarnation,
		.channel = (int)channel,
		.log = { (int)log, (enum log_kind)log_kind, (enum log_format)log_format },
		.shared = (int)shared,
		.uid = (uid_t)uid,
		.gid = (gid_t)gid,
	};
	return fcntl(start->channel, F_GETFD) >= 0 && fcntl(start->log.fd, F_GETFD) >= 0;
}

void child_main(int argc, char **argv)
{
	static int (*const run[CHILD_KINDS])(const struct child_start *) = {
		[CHILD_WORKER] = worker_run, [CHILD_AUTH] = auth_process_run,
		[CHILD_KEEPER] = keeper_run, [CHILD_MONITOR] = monitor_run,
		[CHILD_TOKEN] = token_run,   [CHILD_CHECKER] = checker_run,
	};
	struct child_start start;

	if (!parse_start(argc, argv, &start)) {
		fprintf(stderr, "postern: --child is for the supervisor's use\n");
		exit(EX_USAGE);
	}
	child_confine(&start);
	log_set_output(&start.log);

	int status = run[start.kind](&start);

	log_set_descriptor(-1);
	child_undumpable(true);
	exit(status);
}
