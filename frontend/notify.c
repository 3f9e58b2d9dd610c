/* notify - see notify.h. Written out instead of using libsystemd, which would bring six more libraries into each process. */
#include "frontend/notify.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define STATE_MAX 256

static struct {
	struct sockaddr_un address;
	socklen_t len; /* 0: no service manager */
	double watchdog;
} manager;

/* A path, or "@name" in the abstract namespace. */
static void take_address(const char *text)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2 ||
	    len >= sizeof(manager.address.sun_path))
		return;
	manager.address.sun_family = AF_UNIX;
	memcpy(manager.address.sun_path, text, len);
	if (text[0] == '@')
		manager.address.sun_path[0] = '\0';
	manager.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static unsigned long long number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Asked for of this very process, or of whoever it is. */
static void take_watchdog(void)
{
	unsigned long long usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");

	if (pid == 0 || pid == (unsigned long long)getpid())
		manager.watchdog = (double)usec / 1e6 / 2;
}

void notify_init(void)
{
	const char *text = getenv("NOTIFY_SOCKET");

	memset(&manager, 0, sizeof(manager));
	if (text)
		take_address(text);
	if (manager.len > 0)
		take_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void tell(const char *state)
{
	int fd;

	if (manager.len == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Whoever does not take it now does without. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&manager.address, manager.len);
	close(fd);
}

void notify_ready(size_t listeners, unsigned workers)
{
	char state[STATE_MAX];

	snprintf(state, sizeof(state),
		 "READY=1\nMAINPID=%ld\nSTATUS=Serving: %zu listeners, %u workers", (long)getpid(),
		 listeners, workers);
	tell(state);
}

void notify_reloading(void)
{
	char state[STATE_MAX];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	tell(state);
}

void notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=Stopping");
}

double notify_watchdog(void)
{
	return manager.watchdog;
}

void notify_alive(void)
{
	tell("WATCHDOG=1");
}
