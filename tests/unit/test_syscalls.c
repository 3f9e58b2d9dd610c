/* test_syscalls - a confined worker: each forbidden call ends the process at once, what a session needs goes on working. */
#include "frontend/child.h"
#include "frontend/client_users.h"
#include "frontend/syscalls.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static int memfd_of_before;
static pid_t sibling; /* sleeps, of the same user */
static char page[4096] __attribute__((aligned(4096)));

/* The calls go past the C library, which might refuse by itself or do something else first. */
static void try_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
}

static void try_open_to_write(void)
{
	syscall(SYS_openat, AT_FDCWD, "/tmp/postern-must-not-be", O_WRONLY | O_CREAT, 0600);
}

static void try_openat2(void)
{
	syscall(SYS_openat2, AT_FDCWD, "/dev/null", page, 24);
}

static void try_stat_of_a_path(void)
{
	struct stat status;

	syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &status, 0);
}

static void try_readlink(void)
{
	syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", page, sizeof(page));
}

static void try_unlink(void)
{
	syscall(SYS_unlinkat, AT_FDCWD, "/tmp/postern-must-not-be", 0);
}

static void try_memfd(void)
{
	syscall(SYS_memfd_create, "x", 0);
}

static void try_execve(void)
{
	char *argv[] = { (char[]) { "true" }, NULL };

	syscall(SYS_execve, "/bin/true", argv, NULL);
}

static void try_execveat(void)
{
	char *argv[] = { (char[]) { "true" }, NULL };

	syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0);
}

static void try_fork(void)
{
	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0)
		_exit(0);
}

static void try_thread(void)
{
	syscall(SYS_clone3, page, 88);
}

static void try_ptrace(void)
{
	syscall(SYS_ptrace, PTRACE_ATTACH, sibling, NULL, NULL);
}

static void try_read_a_sibling(void)
{
	struct iovec here = { page, 8 }, there = { page, 8 };

	syscall(SYS_process_vm_readv, sibling, &here, 1, &there, 1, 0);
}

static void try_write_a_sibling(void)
{
	struct iovec here = { page, 8 }, there = { page, 8 };

	syscall(SYS_process_vm_writev, sibling, &here, 1, &there, 1, 0);
}

static void try_pidfd(void)
{
	syscall(SYS_pidfd_open, sibling, 0);
}

static void try_kill_the_parent(void)
{
	syscall(SYS_kill, getppid(), 0);
}

static void try_tgkill_of_a_sibling(void)
{
	syscall(SYS_tgkill, sibling, sibling, SIGABRT);
}

static void try_tgkill_with_another_signal(void)
{
	syscall(SYS_tgkill, getpid(), getpid(), SIGSTOP);
}

static void try_executable_memory(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_making_memory_executable(void)
{
	syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC);
}

static void try_netlink(void)
{
	syscall(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static void try_packet(void)
{
	syscall(SYS_socket, AF_PACKET, SOCK_STREAM, 0);
}

static void try_udp(void)
{
	syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
}

static void try_raw(void)
{
	syscall(SYS_socket, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
}

static void try_unix_datagram(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void try_another_protocol(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 132 /* SCTP */);
}

static void try_socketpair(void)
{
	int fds[2];

	syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds);
}

static void try_bind(void)
{
	syscall(SYS_bind, 0, page, sizeof(struct sockaddr_in));
}

static void try_listen(void)
{
	syscall(SYS_listen, 0, 1);
}

static void try_a_socket_filter(void)
{
	syscall(SYS_setsockopt, 0, SOL_SOCKET, SO_ATTACH_FILTER, page, 16);
}

static void try_reuseport(void)
{
	syscall(SYS_setsockopt, 0, SOL_SOCKET, SO_REUSEPORT, page, 4);
}

static void try_ioctl(void)
{
	syscall(SYS_ioctl, 0, TIOCSTI, page);
}

static void try_signals_by_fcntl(void)
{
	syscall(SYS_fcntl, 0, F_SETOWN, getppid());
}

static void try_a_copy_of_a_descriptor(void)
{
	syscall(SYS_dup, 0);
}

static void try_prctl(void)
{
	syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void try_limits(void)
{
	syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, page);
}

static void try_setuid(void)
{
	syscall(SYS_setresuid, 0, 0, 0);
}

static void try_namespaces(void)
{
	syscall(SYS_unshare, CLONE_NEWUSER);
}

static void try_chroot(void)
{
	syscall(SYS_chroot, "/");
}

static void try_bpf(void)
{
	syscall(SYS_bpf, 0, page, 8);
}

static void try_io_uring(void)
{
	syscall(SYS_io_uring_setup, 1, page);
}

static void try_userfaultfd(void)
{
	syscall(SYS_userfaultfd, 0);
}

static void try_perf(void)
{
	syscall(SYS_perf_event_open, page, 0, -1, -1, 0);
}

static void try_keyring(void)
{
	syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static void try_a_further_filter(void)
{
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, page);
}

static void try_an_unknown_call(void)
{
	syscall(100000);
}

#ifdef __x86_64__
static void try_calls_of_32_bits(void)
{
	long result = 20; /* getpid there */

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}

static void try_calls_of_x32(void)
{
	syscall(0x40000000 | SYS_getpid);
}
#endif

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, try_##name                                                                  \
	}
static const struct {
	const char *name;
	void (*attempt)(void);
} forbidden[] = {
	CASE(open),
	CASE(open_to_write),
	CASE(openat2),
	CASE(stat_of_a_path),
	CASE(readlink),
	CASE(unlink),
	CASE(memfd),
	CASE(execve),
	CASE(execveat),
	CASE(fork),
	CASE(thread),
	CASE(ptrace),
	CASE(read_a_sibling),
	CASE(write_a_sibling),
	CASE(pidfd),
	CASE(kill_the_parent),
	CASE(tgkill_of_a_sibling),
	CASE(tgkill_with_another_signal),
	CASE(executable_memory),
	CASE(making_memory_executable),
	CASE(netlink),
	CASE(packet),
	CASE(udp),
	CASE(raw),
	CASE(unix_datagram),
	CASE(another_protocol),
	CASE(socketpair),
	CASE(bind),
	CASE(listen),
	CASE(a_socket_filter),
	CASE(reuseport),
	CASE(ioctl),
	CASE(signals_by_fcntl),
	CASE(a_copy_of_a_descriptor),
	CASE(prctl),
	CASE(limits),
	CASE(setuid),
	CASE(namespaces),
	CASE(chroot),
	CASE(bpf),
	CASE(io_uring),
	CASE(userfaultfd),
	CASE(perf),
	CASE(keyring),
	CASE(a_further_filter),
	CASE(an_unknown_call),
#ifdef __x86_64__
	CASE(calls_of_32_bits),
	CASE(calls_of_x32),
#endif
};

/* Runs it in a process of its own, confined or not; its status as waitpid() gives it. */
static int status_as(void (*attempt)(void), bool confined, enum syscalls_role role)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (confined && syscalls_confine(role) != 0)
			_exit(99);
		attempt();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int status_of(void (*attempt)(void), bool confined)
{
	return status_as(attempt, confined, SYSCALLS_WORKER);
}

/* Neither the sanitizers nor valgrind can live behind the filter. */
static void only_where_it_can_be(void)
{
	const char *wrapper = getenv("WRAPPER");

	if (CHILD_SANITIZED || (wrapper && wrapper[0] != '\0'))
		skip();
}

static void what_is_forbidden_ends_the_process(void **state)
{
	only_where_it_can_be();
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		int status = status_of(forbidden[i].attempt, true);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x", forbidden[i].name, (unsigned)status);
	}
}

/* The attempts are real ones: without the filter none of them ends the process so. */
static void without_the_filter_nothing_ends_it(void **state)
{
	void (*const harmless[])(void) = { try_open, try_udp, try_pidfd, try_a_copy_of_a_descriptor,
					   try_executable_memory };

	only_where_it_can_be();
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		assert_int_equal(status_of(harmless[i], false), 0);
}

#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 256);                                                     \
	} while (0)

static void use_sockets(void)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	struct sockaddr_in nowhere = { .sin_family = AF_INET, .sin_port = htons(9) };
	int on = 1, fd;

	for (size_t i = 0; i < 3; i++) {
		fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		NEED(fd >= 0 || errno == EAFNOSUPPORT);
		close(fd);
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	NEED(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	NEED(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	NEED(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
	connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere));
	NEED(send(fd, "", 0, MSG_NOSIGNAL) == 0 || errno != EPERM);
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void use_memory(void)
{
	char *blocks[64];
	struct stat status;
	unsigned char random[48];

	for (size_t i = 0; i < 64; i++) {
		blocks[i] = malloc(i * 4096 + 1);
		NEED(blocks[i] != NULL);
	}
	blocks[63] = realloc(blocks[63], 4 << 20);
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
	NEED(getrandom(random, sizeof(random), 0) == sizeof(random));
	NEED(fstat(2, &status) == 0);
}

static void use_time(void)
{
	struct pollfd nothing = { .fd = -1 };
	struct timespec now;

	NEED(clock_gettime(CLOCK_REALTIME, &now) == 0 && time(NULL) > 0);
	NEED(poll(&nothing, 1, 0) == 0);
}

/* The C library's qsort() asks how much memory there is when it has much to sort. */
static void use_a_long_list_of_users(void)
{
	enum { USERS = 200 };
	static char text[USERS * 32];
	size_t len = 0;
	unsigned line;
	const char *why;

	for (unsigned i = 0; i < USERS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "u%u@example.test u%u\n",
					i * 7 % USERS, i);
	NEED(client_users_new((struct span) { text, len }, &line, &why) != NULL);
}

static void what_a_session_needs_is_allowed(void **state)
{
	only_where_it_can_be();
	assert_int_equal(status_of(use_sockets, true), 0);
	assert_int_equal(status_of(use_memory, true), 0);
	assert_int_equal(status_of(use_time, true), 0);
	assert_int_equal(status_of(use_a_long_list_of_users, true), 0);
}

/* More than the allocator keeps for itself. */
static void *use_and_give_back(void *arg)
{
	char *blocks[20];

	for (size_t i = 0; i < 20; i++)
		blocks[i] = malloc(60000);
	for (size_t i = 0; i < 20; i++)
		free(blocks[i]);
	return arg;
}

static void use_threads(void)
{
	pthread_t threads[4];
	void *result = NULL;

	for (size_t i = 0; i < 4; i++)
		NEED(pthread_create(&threads[i], NULL, use_and_give_back, page) == 0);
	for (size_t i = 0; i < 4; i++)
		NEED(pthread_join(threads[i], &result) == 0 && result == page);
}

static void use_what_is_handed_over(void)
{
	char octets[8];
	int fd = memfd_of_before;

	NEED(pread(fd, octets, sizeof(octets), 0) == 4);
	NEED(fcntl(fd, F_GET_SEALS) >= 0);
	NEED(mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
}

static void try_stream(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void try_unix_stream(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void try_connect(void)
{
	struct sockaddr_in nowhere = { .sin_family = AF_INET, .sin_port = htons(9) };

	syscall(SYS_connect, 0, &nowhere, sizeof(nowhere));
}

static void try_accept(void)
{
	syscall(SYS_accept4, 0, NULL, NULL, 0);
}

static void what_the_keeper_needs_is_allowed(void **state)
{
	only_where_it_can_be();
	memfd_of_before = memfd_create("before", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(memfd_of_before, "book", 4), 4);
	assert_int_equal(status_as(use_threads, true, SYSCALLS_KEEPER), 0);
	assert_int_equal(status_as(use_memory, true, SYSCALLS_KEEPER), 0);
	assert_int_equal(status_as(use_what_is_handed_over, true, SYSCALLS_KEEPER), 0);
	close(memfd_of_before);
}

/* Connections among it, which a worker may make. */
static void what_the_keeper_may_not_do_ends_it(void **state)
{
	static const struct {
		const char *name;
		void (*attempt)(void);
	} further[] = { CASE(stream), CASE(unix_stream), CASE(connect), CASE(accept) };

	only_where_it_can_be();
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		int status = status_as(forbidden[i].attempt, true, SYSCALLS_KEEPER);

		/* clone3() is said not to be there, which a thread of the C library's takes for an answer */
		if (forbidden[i].attempt != try_thread &&
		    (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
			fail_msg("%s: status %#x", forbidden[i].name, (unsigned)status);
	}
	for (size_t i = 0; i < sizeof(further) / sizeof(further[0]); i++) {
		int status = status_as(further[i].attempt, true, SYSCALLS_KEEPER);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x", further[i].name, (unsigned)status);
	}
}

void __stack_chk_fail(void); /* of the C library: what a smashed stack ends in */

static void fail_an_assertion(void)
{
	__assert_fail("false", "test", 1, "test");
}

/* Their words go to stderr, which is nobody's here. */
static void what_goes_wrong_inside_still_ends_with_sigabrt(void **state)
{
	void (*const ends[])(void) = { abort, fail_an_assertion, __stack_chk_fail };
	int told = dup(STDERR_FILENO), nobody = open("/dev/null", O_WRONLY);

	only_where_it_can_be();
	assert_true(told >= 0 && dup2(nobody, STDERR_FILENO) == STDERR_FILENO);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int status = status_of(ends[i], true);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
	dup2(told, STDERR_FILENO);
	close(told);
	close(nobody);
}

/* As a kernel that was built without it answers. */
static void confine_without_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	NEED(filter != NULL);
	NEED(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 0) == 0);
	NEED(seccomp_load(filter) == 0);
	seccomp_release(filter);
	NEED(syscalls_confine(SYSCALLS_WORKER) == -1 && errno > 0);
}

static void a_kernel_without_seccomp_is_told(void **state)
{
	only_where_it_can_be();
	assert_int_equal(status_of(confine_without_seccomp, false), 0);
}

static void the_list_names_what_is_allowed(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	syscalls_print(out, SYSCALLS_WORKER);
	fclose(out);
	assert_non_null(strstr(text, "recvfrom\n"));
	assert_non_null(strstr(text, "mmap (without PROT_EXEC)\n"));
	assert_non_null(strstr(text, "socket (AF_INET, SOCK_STREAM)\n"));
	assert_null(strstr(text, "open"));
	assert_null(strstr(text, "exec\n"));
	free(text);
}

static int sibling_up(void **state)
{
	sibling = fork();
	if (sibling == 0) {
		for (;;)
			pause();
	}
	return sibling > 0 ? 0 : -1;
}

static int sibling_down(void **state)
{
	kill(sibling, SIGKILL);
	waitpid(sibling, NULL, 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_forbidden_ends_the_process),
		cmocka_unit_test(without_the_filter_nothing_ends_it),
		cmocka_unit_test(what_a_session_needs_is_allowed),
		cmocka_unit_test(what_the_keeper_needs_is_allowed),
		cmocka_unit_test(what_the_keeper_may_not_do_ends_it),
		cmocka_unit_test(what_goes_wrong_inside_still_ends_with_sigabrt),
		cmocka_unit_test(a_kernel_without_seccomp_is_told),
		cmocka_unit_test(the_list_names_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, sibling_up, sibling_down);
}
