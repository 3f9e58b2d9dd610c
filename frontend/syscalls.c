/* syscalls - a seccomp filter from one table, which `postern --syscalls` prints as well. See syscalls.h.
 * The only file that includes libseccomp's header.
 * Arguments of type int are compared as the kernel reads them: their lower 32 bits.
 */
#include "frontend/syscalls.h"
#include "frontend/child.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 3
#define INT_BITS      0xffffffffu
#define STREAM_BITS   (INT_BITS & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))

/* Argument `number` is that value in those bits. */
#define IS(number, bits, value)                                                                    \
	{                                                                                          \
		.arg = number, .op = SCMP_CMP_MASKED_EQ, .datum_a = bits, .datum_b = value         \
	}
#define STREAM(family)                                                                             \
	{                                                                                          \
		IS(0, INT_BITS, family), IS(1, STREAM_BITS, SOCK_STREAM), IS(2, INT_BITS, 0)       \
	}
#define NOT_EXECUTABLE                                                                             \
	{                                                                                          \
		IS(2, PROT_EXEC, 0)                                                                \
	}

/* A call that has several rows may be made as any of them says. */
struct allowed {
	int number;
	const char *when; /* in words; NULL: always */
	unsigned count;
	struct scmp_arg_cmp arguments[ARGUMENTS_MAX];
};

#define CALL(name)                                                                                 \
	SCMP_SYS(name), NULL, 0,                                                                   \
	{                                                                                          \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define WHEN(name, words)  SCMP_SYS(name), words
#define OPTION(level, one) IS(1, INT_BITS, level), IS(2, INT_BITS, one)

static const struct allowed table[] = {
	/* the loop */
	{ CALL(epoll_wait) },
	{ CALL(epoll_pwait) },
	{ CALL(epoll_ctl) },
	{ CALL(epoll_create1) }, /* anew, when one tells of a descriptor that others still have open */
	{ CALL(poll) },
	{ CALL(ppoll) },
	{ CALL(restart_syscall) }, /* a poll that SIGSTOP interrupted */
	{ CALL(clock_gettime) },
	{ CALL(gettimeofday) },
	{ CALL(time) },
	/* what is open already */
	{ CALL(read) },
	{ CALL(write) },
	{ CALL(writev) },
	{ CALL(recvfrom) },
	{ CALL(recvmsg) },
	{ CALL(sendto) },
	{ CALL(sendmsg) },
	{ CALL(shutdown) },
	{ CALL(close) },
	{ WHEN(fcntl, "F_GETFL"), 1, { IS(1, INT_BITS, F_GETFL) } },
	{ WHEN(fcntl, "F_SETFL"), 1, { IS(1, INT_BITS, F_SETFL) } },
	{ CALL(fstat) },
	{ WHEN(newfstatat, "AT_EMPTY_PATH"), 1, { IS(3, INT_BITS, AT_EMPTY_PATH) } },
	/* connections: from clients on sockets that the supervisor has bound, and to servers */
	{ CALL(accept4) },
	{ WHEN(socket, "AF_INET, SOCK_STREAM"), 3, STREAM(AF_INET) },
	{ WHEN(socket, "AF_INET6, SOCK_STREAM"), 3, STREAM(AF_INET6) },
	{ WHEN(socket, "AF_UNIX, SOCK_STREAM"), 3, STREAM(AF_UNIX) },
	{ CALL(connect) },
	{ CALL(getsockname) },
	{ CALL(getpeername) },
	{ WHEN(getsockopt, "SOL_SOCKET, SO_ERROR"), 2, { OPTION(SOL_SOCKET, SO_ERROR) } },
	{ WHEN(setsockopt, "SOL_SOCKET, SO_KEEPALIVE"), 2, { OPTION(SOL_SOCKET, SO_KEEPALIVE) } },
	{ WHEN(setsockopt, "IPPROTO_TCP, TCP_NODELAY"), 2, { OPTION(IPPROTO_TCP, TCP_NODELAY) } },
	/* memory, never executable */
	{ CALL(brk) },
	{ WHEN(mmap, "without PROT_EXEC"), 1, NOT_EXECUTABLE },
	{ WHEN(mprotect, "without PROT_EXEC"), 1, NOT_EXECUTABLE },
	{ CALL(munmap) },
	{ CALL(mremap) },
	{ CALL(madvise) },
	{ CALL(futex) },
	{ CALL(getrandom) },
	/* the process itself, and its end; tgkill stands in allow_abort() */
	{ CALL(getpid) },
	{ CALL(gettid) },
	{ CALL(rt_sigprocmask) },
	{ CALL(rt_sigaction) },
	{ CALL(rt_sigreturn) },
	{ CALL(exit) },
	{ CALL(exit_group) },
};

#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

/* A failed assertion ends this process and no other. Returns 0 or a negative errno. */
static int allow_abort(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp arguments[] = {
		IS(0, INT_BITS, (scmp_datum_t)getpid()),
		IS(2, INT_BITS, SIGABRT),
	};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, arguments);
}

/* Returns 0 or a negative errno. */
static int fill(scmp_filter_ctx filter)
{
	/* Calls of another architecture's numbering would not be what the table says. */
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	for (size_t i = 0; i < TABLE_LEN && error == 0; i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, table[i].number,
					       table[i].count, table[i].arguments);
	return error == 0 ? allow_abort(filter) : error;
}

int syscalls_confine_worker(void)
{
	scmp_filter_ctx filter;
	int error;

	if (CHILD_SANITIZED)
		return 0;
	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	error = fill(filter);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	errno = -error;
	return error == 0 ? 0 : -1;
}

void syscalls_print(FILE *out)
{
	for (size_t i = 0; i < TABLE_LEN; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, table[i].number);

		/* a call that this architecture does not have */
		if (name == NULL || table[i].number < 0) {
			free(name);
			continue;
		}
		fprintf(out, table[i].when ? "%s (%s)\n" : "%s\n", name, table[i].when);
		free(name);
	}
	fputs("tgkill (itself, SIGABRT)\n", out);
}
