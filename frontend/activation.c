/* activation - see activation.h. */
#include "frontend/activation.h"
#include "frontend/log.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST       3 /* descriptor, by the protocol */
#define SOCKETS_MAX 256

static struct {
	struct {
		int fd; /* -1: closed */
		bool wanted;
		struct address address;
		const char *why_not; /* NULL: it may be used */
	} items[SOCKETS_MAX];
	size_t count;
} handed;

static int option_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, option, &value, &len) == 0 ? value : -1;
}

/* Why that socket is of no use; NULL: it is. */
static const char *look_at(int fd, struct address *address)
{
	address->len = sizeof(address->u);
	if (getsockname(fd, &address->u.any, &address->len) < 0) {
		address->len = 0;
		return "no socket";
	}
	if ((address->u.any.sa_family != AF_INET && address->u.any.sa_family != AF_INET6) ||
	    option_of(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
	    option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
		return "not a listening TCP socket";
	if (address->u.any.sa_family == AF_INET6 && option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
		return "takes IPv4 as well: set BindIPv6Only=ipv6-only in the socket unit";
	return NULL;
}

static size_t number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

static void take(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return;
	handed.items[handed.count].fd = fd;
	handed.items[handed.count].wanted = false;
	handed.items[handed.count].why_not = look_at(fd, &handed.items[handed.count].address);
	handed.count++;
}

void activation_init(void)
{
	size_t count = number_of("LISTEN_FDS");

	handed.count = 0;
	if (number_of("LISTEN_PID") == (size_t)getpid())
		for (size_t i = 0; i < count && i < SOCKETS_MAX; i++)
			take(FIRST + (int)i);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int activation_take(const struct address *address, bool *shareable)
{
	for (size_t i = 0; i < handed.count; i++) {
		int fd = handed.items[i].fd;

		if (fd < 0 || handed.items[i].why_not ||
		    !address_equal(&handed.items[i].address, address))
			continue;
		handed.items[i].wanted = true;
		*shareable = option_of(fd, SOL_SOCKET, SO_REUSEPORT) == 1;
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return -1;
}

void activation_end(void)
{
	for (size_t i = 0; i < handed.count; i++)
		if (handed.items[i].fd >= 0)
			close(handed.items[i].fd);
	handed.count = 0;
}

void activation_close_unused(void)
{
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < handed.count; i++) {
		const char *why = handed.items[i].why_not;

		if (handed.items[i].wanted)
			continue;
		close(handed.items[i].fd);
		handed.items[i].fd = -1;
		log_event(LOG_LEVEL_WARNING, "socket_unused", "%s from the service manager: %s",
			  handed.items[i].address.len > 0
				  ? address_text(&handed.items[i].address.u.any, text)
				  : "a descriptor",
			  why ? why : "no listener has this address");
	}
}
