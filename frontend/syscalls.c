/* syscalls - a seccomp filter from a table for each role, which `postern --syscalls` prints as well. See syscalls.h.
 * The only file that includes libseccomp's header.
 * Arguments of type int are compared as the kernel reads them: their lower 32 bits.
 */
#include "frontend/syscalls.h"
#include "frontend/child.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
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

static const struct allowed worker_table[] = {
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
	{ WHEN(fcntl, "F_GET_SEALS"), 1, { IS(1, INT_BITS, F_GET_SEALS) } }, /* of a book */
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
	{ CALL(sysinfo) }, /* qsort(), when it has much to sort */
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

/* As pthread_create() makes one; and no process. */
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct allowed keeper_table[] = {
	/* the loop, and the threads */
	{ CALL(epoll_wait) },
	{ CALL(epoll_pwait) },
	{ CALL(epoll_ctl) },
	{ CALL(epoll_create1) },
	{ CALL(poll) },
	{ CALL(ppoll) },
	{ CALL(restart_syscall) },
	{ CALL(clock_gettime) },
	{ CALL(gettimeofday) },
	{ CALL(time) },
	{ WHEN(clone, "a thread"), 1, { IS(0, INT_BITS, THREAD_FLAGS) } },
	{ CALL(set_robust_list) },
	{ CALL(rseq) },
	{ CALL(futex) },
	/* what is open already or handed over: keys among it */
	{ CALL(read) },
	{ CALL(pread64) },
	{ CALL(write) },
	{ CALL(recvfrom) },
	{ CALL(recvmsg) },
	{ CALL(sendto) },
	{ CALL(sendmsg) },
	{ CALL(shutdown) },
	{ CALL(close) },
	{ WHEN(fcntl, "F_GETFL"), 1, { IS(1, INT_BITS, F_GETFL) } },
	{ WHEN(fcntl, "F_SETFL"), 1, { IS(1, INT_BITS, F_SETFL) } },
	{ WHEN(fcntl, "F_GET_SEALS"), 1, { IS(1, INT_BITS, F_GET_SEALS) } },
	{ CALL(fstat) },
	{ WHEN(newfstatat, "AT_EMPTY_PATH"), 1, { IS(3, INT_BITS, AT_EMPTY_PATH) } },
	/* memory, never executable */
	{ CALL(brk) },
	{ WHEN(mmap, "without PROT_EXEC"), 1, NOT_EXECUTABLE },
	{ WHEN(mprotect, "without PROT_EXEC"), 1, NOT_EXECUTABLE },
	{ CALL(munmap) },
	{ CALL(mremap) },
	{ CALL(madvise) },
	{ CALL(getrandom) },
	/* the process itself, and its end */
	{ CALL(getpid) },
	{ CALL(gettid) },
	{ CALL(rt_sigprocmask) },
	{ CALL(rt_sigaction) },
	{ CALL(rt_sigreturn) },
	{ CALL(exit) },
	{ CALL(exit_group) },
};

static const struct role {
	const struct allowed *calls;
	size_t count;
	bool threads;
} roles[] = {
	[SYSCALLS_WORKER] = { worker_table, sizeof(worker_table) / sizeof(worker_table[0]), false },
	[SYSCALLS_KEEPER] = { keeper_table, sizeof(keeper_table) / sizeof(keeper_table[0]), true },
};

/* A failed assertion ends this process and no other. Returns 0 or a negative errno. */
static int allow_abort(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp arguments[] = {
		IS(0, INT_BITS, (scmp_datum_t)getpid()),
		IS(2, INT_BITS, SIGABRT),
	};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, arguments);
}

/* What clone3() is to do stands in memory, where no filter looks: the C library takes clone() when there is no other. The threads
 * that exist are confined as well. Returns 0 or a negative errno. */
static int allow_threads(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	/* the allocator opens a file when it gives back memory of any arena but the first */
	mallopt(M_ARENA_MAX, 1);
	return error == 0 ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : error;
}

/* Returns 0 or a negative errno. */
static int fill(scmp_filter_ctx filter, const struct role *role)
{
	/* Calls of another architecture's numbering would not be what the table says. */
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	for (size_t i = 0; i < role->count && error == 0; i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, role->calls[i].number,
					       role->calls[i].count, role->calls[i].arguments);
	if (error == 0 && role->threads)
		error = allow_threads(filter);
	return error == 0 ? allow_abort(filter) : error;
}

int syscalls_confine(enum syscalls_role role)
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
	error = fill(filter, &roles[role]);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	errno = -error;
	return error == 0 ? 0 : -1;
}

void syscalls_print(FILE *out, enum syscalls_role role)
{
	for (size_t i = 0; i < roles[role].count; i++) {
		const struct allowed *call = &roles[role].calls[i];
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call->number);

		/* a call that this architecture does not have */
		if (name == NULL || call->number < 0) {
			free(name);
			continue;
		}
		fprintf(out, call->when ? "%s (%s)\n" : "%s\n", name, call->when);
		free(name);
	}
	fputs("tgkill (itself, SIGABRT)\n", out);
}
