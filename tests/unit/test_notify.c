/* test_notify - what the service manager is told, at a path and at an abstract name; silence without one. */
#include "frontend/notify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

/* A service manager's socket with that NOTIFY_SOCKET. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[1024];
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	return text;
}

static void everything_is_told(const char *name)
{
	char wanted[128];
	int fd = listen_at(name);
	long long usec = 0;

	notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready(6, 2);
	snprintf(wanted, sizeof(wanted),
		 "READY=1\nMAINPID=%ld\nSTATUS=Serving: 6 listeners, 2 workers", (long)getpid());
	assert_string_equal(heard(fd), wanted);
	notify_reloading();
	assert_int_equal(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%lld\n", &usec), 1);
	assert_true(usec > 0);
	notify_stopping();
	assert_string_equal(heard(fd), "STOPPING=1\nSTATUS=Stopping");
	notify_alive();
	assert_string_equal(heard(fd), "WATCHDOG=1");
	assert_string_equal(heard(fd), "");
	close(fd);
}

static void at_a_path(void **state)
{
	char folder[] = "/tmp/postern-notify-XXXXXX", name[64];

	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/socket", folder);
	everything_is_told(name);
	notify_stopping(); /* nobody listens any more: no harm */
	unlink(name);
	rmdir(folder);
}

static void at_an_abstract_name(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "@postern-test-%ld", (long)getpid());
	everything_is_told(name);
}

static void an_address_of_another_kind_is_ignored(void **state)
{
	static const char *const names[] = { "", "@", "relative", "vsock:2:1234",
					     "/far/too/long/for/the/address/of/a/unix/socket/which/"
					     "has/room/for/one/hundred/and/eight/bytes/and/no/more/"
					     "than/that" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "1000000", 1);
		notify_init();
		notify_ready(1, 1);
		assert_null(getenv("NOTIFY_SOCKET"));
		assert_true(notify_watchdog() == 0);
	}
}

static void the_watchdog_is_fed_twice_in_its_time(void **state)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", "@nobody", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	notify_init();
	assert_true(notify_watchdog() > 14.9 && notify_watchdog() < 15.1);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	setenv("NOTIFY_SOCKET", "@nobody", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1); /* another process is meant */
	notify_init();
	assert_true(notify_watchdog() == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_a_path),
		cmocka_unit_test(at_an_abstract_name),
		cmocka_unit_test(an_address_of_another_kind_is_ignored),
		cmocka_unit_test(the_watchdog_is_fed_twice_in_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
