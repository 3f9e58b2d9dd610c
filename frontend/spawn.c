/* spawn - see spawn.h. Between fork and exec only system calls are made. */
#include "frontend/spawn.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define ARGUMENT_MAX 24

int spawn_init(struct spawner *spawner)
{
	spawner->executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return spawner->executable < 0 ? -1 : 0;
}

void spawn_cleanup(struct spawner *spawner)
{
	if (spawner->executable >= 0)
		close(spawner->executable);
	spawner->executable = -1;
}

static void keep_open(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

pid_t spawn_child(const struct spawner *spawner, const struct child_start *start)
{
	char number[9][ARGUMENT_MAX];
	const long long values[9] = {
		start->index, start->incarnation, start->channel,  start->log.fd,     start->shared,
		start->uid,   start->gid,         start->log.kind, start->log.format,
	};
	char *argv[] = { (char[]) { "postern" },
			 (char[]) { "--child" },
			 (char *)child_kind_names[start->kind],
			 number[0],
			 number[1],
			 number[2],
			 number[3],
			 number[4],
			 number[5],
			 number[6],
			 number[7],
			 number[8],
			 NULL };
	sigset_t all, before;

	for (size_t i = 0; i < 9; i++)
		snprintf(number[i], ARGUMENT_MAX, "%lld", values[i]);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);

	pid_t pid = fork();

	if (pid == 0) {
		keep_open(start->channel);
		keep_open(start->log.fd);
		keep_open(start->shared);
		fexecve(spawner->executable, argv, environ);
		_exit(EX_OSERR);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}
