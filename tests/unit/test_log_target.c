/* test_log_target - files, syslog's and the journal's sockets: opened, kept when the next cannot be, found again. */
#include "frontend/log_target.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct log_target target;
static char folder[64], path[128], name[160];

static int up(void **state)
{
	strcpy(folder, "/tmp/test_log_target.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(name, sizeof(name), "syslog:%s", path);
	log_target_init(&target, ev_loop_new(EVFLAG_AUTO));
	return 0;
}

static int down(void **state)
{
	log_target_close(&target);
	ev_loop_destroy(target.loop);
	unlink(path);
	return rmdir(folder);
}

/* A daemon that listens at `path`. */
static int daemon_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static const char *received(int fd)
{
	static char text[16384];
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	return text;
}

static void what_is_wrong_with_a_target_is_told(void **state)
{
	char text[200] = "journald:/";

	memset(text + 10, 'x', 150);
	assert_null(log_target_check("stderr"));
	assert_null(log_target_check("/var/log/postern.log"));
	assert_null(log_target_check("syslog"));
	assert_null(log_target_check("journald"));
	assert_null(log_target_check("syslog:/run/log"));
	assert_null(log_target_check("syslogs"));
	assert_non_null(log_target_check("syslog:run/log"));
	assert_non_null(log_target_check("journald:"));
	assert_non_null(log_target_check(text));
	assert_int_equal(log_target_open(&target, text, LOG_FORMAT_LOGFMT), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void a_file_is_appended_to_and_made_for_its_group_only(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct stat status;
	char text[512];

	assert_int_equal(write(fd, "before\n", 7), 7);
	assert_int_equal(log_target_open(&target, path, LOG_FORMAT_LOGFMT), 0);
	assert_int_equal(target.output.kind, LOG_KIND_LINES);
	assert_true(fcntl(target.output.fd, F_GETFD) & FD_CLOEXEC);
	log_event(LOG_LEVEL_INFO, "x", "y");

	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	assert_int_equal(strncmp(text, "before\ntime=", 12), 0);
	close(fd);
	unlink(path);
	assert_int_equal(log_target_open(&target, path, LOG_FORMAT_LOGFMT), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(log_target_open(&target, "/nonexistent/log", LOG_FORMAT_LOGFMT), -1);
}

static void a_daemon_gets_one_datagram_a_line(void **state)
{
	int daemon = daemon_socket();

	assert_int_equal(log_target_open(&target, name, LOG_FORMAT_JSON), 0);
	assert_int_equal(target.output.kind, LOG_KIND_SYSLOG);
	assert_true(fcntl(target.output.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(target.output.fd, F_GETFD) & FD_CLOEXEC);
	log_event(LOG_LEVEL_INFO, "x", "y");
	assert_int_equal(strncmp(received(daemon), "<22>postern[", 12), 0);
	assert_string_equal(received(daemon), "");

	snprintf(name, sizeof(name), "journald:%s", path);
	assert_int_equal(log_target_open(&target, name, LOG_FORMAT_LOGFMT), 0);
	log_event(LOG_LEVEL_INFO, "x", "y");
	assert_int_equal(strncmp(received(daemon), "PRIORITY=6\n", 11), 0);
	close(daemon);
}

static void a_target_that_cannot_be_opened_leaves_the_one_before(void **state)
{
	int daemon = daemon_socket();

	assert_int_equal(log_target_open(&target, name, LOG_FORMAT_LOGFMT), 0);
	assert_int_equal(log_target_open(&target, "syslog:/nonexistent/socket", LOG_FORMAT_JSON),
			 -1);
	log_event(LOG_LEVEL_INFO, "x", "y");
	assert_non_null(strstr(received(daemon), " event=x "));
	close(daemon);
}

static void a_daemon_that_does_not_read_costs_lines_and_no_time(void **state)
{
	int daemon = daemon_socket();
	uint64_t before = log_lost();

	assert_int_equal(log_target_open(&target, name, LOG_FORMAT_LOGFMT), 0);
	for (int i = 0; i < 100000 && log_lost() == before; i++)
		log_event(LOG_LEVEL_INFO, "fill", "%d", i);
	assert_int_equal(log_lost(), before + 1);
	while (*received(daemon))
		;
	log_event(LOG_LEVEL_INFO, "after", "x");
	assert_non_null(strstr(received(daemon), " event=log_lost lost=1"));
	assert_non_null(strstr(received(daemon), " event=after "));
	close(daemon);
}

/* Lets the watch have its turn, as if its second were over. */
static void look(void)
{
	ev_feed_event(target.loop, &target.watch, EV_TIMER);
	ev_invoke_pending(target.loop);
}

static void a_daemon_that_comes_back_is_found_whether_or_not_it_was_missed(void **state)
{
	for (int missed = 0; missed < 2; missed++) {
		int daemon = daemon_socket(), copy;
		uint64_t before = log_lost();

		assert_int_equal(log_target_open(&target, name, LOG_FORMAT_LOGFMT), 0);
		copy = dup(target.output.fd); /* as a child has it */
		look();
		assert_string_equal(received(daemon), "");
		close(daemon);
		look();
		if (missed) {
			log_event(LOG_LEVEL_INFO, "x", "lost");
			look();
			assert_int_equal(log_lost(), before + 1);
		}
		daemon = daemon_socket();
		look();
		if (missed) {
			const char *text = received(daemon);

			assert_non_null(strstr(text, " event=log_lost lost=1"));
		}
		assert_non_null(strstr(received(daemon), " event=log_reopened "));
		assert_int_equal(send(copy, "child", 5, 0), 5);
		assert_string_equal(received(daemon), "child");
		assert_int_equal(log_lost(), before + (unsigned)missed);
		close(copy);
		close(daemon);
	}
}

static void stderr_of_systemd_is_known_by_its_device_and_inode(void **state)
{
	int ends[2], saved = dup(STDERR_FILENO);
	struct stat status;
	char text[64];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(fstat(ends[1], &status), 0);
	dup2(ends[1], STDERR_FILENO);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	int known = log_target_open(&target, "stderr", LOG_FORMAT_LOGFMT);
	enum log_kind kind = target.output.kind;

	setenv("JOURNAL_STREAM", "1:2", 1);
	int stale = log_target_open(&target, "stderr", LOG_FORMAT_LOGFMT);
	enum log_kind stale_kind = target.output.kind;

	unsetenv("JOURNAL_STREAM");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(known, 0);
	assert_int_equal(kind, LOG_KIND_PRIORITY);
	assert_int_equal(stale, 0);
	assert_int_equal(stale_kind, LOG_KIND_LINES);
}

/* Fields as a child gets them with a descriptor or none. */
static bool take(const uint8_t *fields, size_t len, size_t nfds)
{
	struct message_reader reader = { .data = fields, .len = len };
	int fds[1] = { dup(target.output.fd) };
	bool taken = log_target_take(&reader, fds, nfds);

	assert_int_equal(fds[0] < 0, taken);
	if (!taken)
		close(fds[0]);
	return taken;
}

static void a_child_takes_what_the_supervisor_opened_and_nothing_malformed(void **state)
{
	const struct log_output told = { .kind = LOG_KIND_JOURNAL, .format = LOG_FORMAT_JSON };
	struct message_writer writer;
	int daemon = daemon_socket();

	assert_int_equal(log_target_open(&target, name, LOG_FORMAT_LOGFMT), 0);
	assert_false(take((uint8_t[]) { LOG_KINDS, 0 }, 2, 1));
	assert_false(take((uint8_t[]) { 0, LOG_FORMATS }, 2, 1));
	assert_false(take((uint8_t[]) { 0, 0, 0 }, 3, 1));
	assert_false(take((uint8_t[]) { 0 }, 1, 1));
	assert_false(take((uint8_t[]) { 0, 0 }, 2, 0));
	message_begin(&writer, 256, 7);
	log_target_put(&writer, &told);
	assert_true(take(writer.data + MESSAGE_HEADER, writer.len - MESSAGE_HEADER, 1));
	message_writer_cleanup(&writer);
	log_event(LOG_LEVEL_INFO, "x", "y");
	assert_non_null(strstr(received(daemon), "\nMESSAGE={\"time\":"));
	close(daemon);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_wrong_with_a_target_is_told),
		CASE(a_file_is_appended_to_and_made_for_its_group_only),
		CASE(a_daemon_gets_one_datagram_a_line),
		CASE(a_target_that_cannot_be_opened_leaves_the_one_before),
		CASE(a_daemon_that_does_not_read_costs_lines_and_no_time),
		CASE(a_daemon_that_comes_back_is_found_whether_or_not_it_was_missed),
		CASE(stderr_of_systemd_is_known_by_its_device_and_inode),
		CASE(a_child_takes_what_the_supervisor_opened_and_nothing_malformed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
