/* listening - binds what the configuration names; see listening.h.
 * Invariants: the first socket of a new address is bound without SO_REUSEPORT, so an address that another process has is
 * refused; only then is the option set, and the other workers' sockets join it. A socket that the service manager has bound
 * to an address comes before one of our own. IPv6 sockets take IPv6 only.
 */
#include "frontend/listening.h"
#include "frontend/activation.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it down to net.core.somaxconn */

static bool set_option(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

/* `first`: nobody else may have the address. */
static int open_socket(const struct address *address, bool first)
{
	int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) &&
	    (address->u.any.sa_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	    (first || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	    bind(fd, &address->u.any, address->len) == 0 &&
	    (!first || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) && listen(fd, BACKLOG) == 0)
		return fd;

	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

/* A further worker's: a socket of its own beside the first, or the first once more, where one that we have not bound does not
 * let others join it. */
static int join_socket(const struct address *address, int first, bool handed, bool shareable)
{
	int fd = shareable ? open_socket(address, false) : -1;

	return fd >= 0 || !handed ? fd : fcntl(first, F_DUPFD_CLOEXEC, 0);
}

/* All workers' sockets of one listener; false with errno. */
static bool open_listener(struct listening *listening, size_t listener)
{
	struct address *address = &listening->addresses[listener];
	int *fds = &listening->fds[listener * listening->workers];
	bool shareable = true, handed;

	fds[0] = activation_take(address, &shareable);
	handed = fds[0] >= 0;
	if (!handed)
		fds[0] = open_socket(address, true);
	/* port 0: the others take the one that the first got */
	if (fds[0] < 0 || getsockname(fds[0], &address->u.any, &address->len) < 0)
		return false;
	for (unsigned worker = 1; worker < listening->workers; worker++) {
		fds[worker] = join_socket(address, fds[0], handed, shareable);
		if (fds[worker] < 0)
			return false;
	}
	return true;
}

/* The same sockets under descriptors of our own; false with errno. */
static bool share_listener(struct listening *listening, size_t listener,
			   const struct listening *before, size_t which)
{
	listening->addresses[listener] = before->addresses[which];
	for (unsigned worker = 0; worker < listening->workers; worker++) {
		int fd = fcntl(listening_socket(before, which, worker), F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return false;
		listening->fds[listener * listening->workers + worker] = fd;
	}
	return true;
}

/* The listener of `before` on that configured address, before->count: none. Among several (port 0) each is found once: the
 * next after those that the listeners so far have. */
static size_t find_before(const struct listening *listening, size_t listener,
			  const struct listening *before)
{
	const struct address *wanted = &listening->wanted[listener];
	size_t skip = 0, which = 0;

	if (!before || before->workers != listening->workers)
		return before ? before->count : 0;
	for (size_t i = 0; i < listener; i++)
		skip += address_equal(&listening->wanted[i], wanted);
	for (; which < before->count; which++)
		if (address_equal(&before->wanted[which], wanted) && skip-- == 0)
			break;
	return which;
}

static bool provide_listener(struct listening *listening, size_t listener,
			     const struct listening *before)
{
	size_t which = find_before(listening, listener, before);

	if (before && which < before->count)
		return share_listener(listening, listener, before, which);
	return open_listener(listening, listener);
}

/* The monitor's socket; false with errno. */
static bool provide_status(struct listening *listening, const struct address *wanted,
			   const struct listening *before)
{
	if (before && before->has_status && address_equal(&before->status_wanted, wanted))
		listening->status = fcntl(before->status, F_DUPFD_CLOEXEC, 0);
	else
		listening->status = open_socket(wanted, true);
	listening->has_status = listening->status >= 0;
	listening->status_wanted = *wanted;
	return listening->has_status;
}

static bool allocate(struct listening *listening, size_t count, unsigned workers)
{
	*listening = (struct listening) {
		.count = count,
		.workers = workers,
		.fds = calloc(count * workers + 1, sizeof(int)),
		.wanted = calloc(count + 1, sizeof(struct address)),
		.addresses = calloc(count + 1, sizeof(struct address)),
	};
	for (size_t i = 0; listening->fds && i < count * workers; i++)
		listening->fds[i] = -1;
	return listening->fds && listening->wanted && listening->addresses;
}

/* With errno: the reason goes to the faults, nothing stays open. */
static int give_up(struct listening *listening, const struct config_source *source,
		   const struct address *address, struct config_faults *faults)
{
	char name[ADDRESS_TEXT_MAX];
	int reason = errno;

	config_fault(faults, false, source->file, source->line, "cannot listen on %s: %s",
		     address_text(&address->u.any, name), strerror(reason));
	listening_close(listening);
	return reason == EACCES || reason == EPERM ? EX_NOPERM : EX_TEMPFAIL;
}

int listening_open(struct listening *listening, const struct config *config, unsigned workers,
		   const struct listening *before, struct config_faults *faults)
{
	if (!allocate(listening, config->listeners.count, workers)) {
		listening_close(listening);
		config_fault(faults, false, "-", 0, "out of memory");
		return EX_OSERR;
	}
	for (size_t i = 0; i < listening->count; i++) {
		const struct config_listener *listener = &config->listeners.items[i];

		listening->wanted[i] = listening->addresses[i] = listener->bind;
		if (!provide_listener(listening, i, before))
			return give_up(listening, &listener->source, &listener->bind, faults);
	}
	if (config->status.port != 0 && !provide_status(listening, &config->status.bind, before))
		return give_up(listening, &config->status.source, &config->status.bind, faults);
	return 0;
}

void listening_close(struct listening *listening)
{
	for (size_t i = 0; listening->fds && i < listening->count * listening->workers; i++)
		if (listening->fds[i] >= 0)
			close(listening->fds[i]);
	if (listening->has_status)
		close(listening->status);
	free(listening->fds);
	free(listening->wanted);
	free(listening->addresses);
	*listening = (struct listening) { 0 };
}

int listening_socket(const struct listening *listening, size_t listener, unsigned worker)
{
	assert(listener < listening->count && worker < listening->workers);
	return listening->fds[listener * listening->workers + worker];
}

char *listening_text(const struct listening *listening)
{
	size_t size = listening->count * (ADDRESS_TEXT_MAX + 1) + 1, len = 0;
	char *text = malloc(size), name[ADDRESS_TEXT_MAX];

	if (!text)
		return NULL;
	text[0] = '\0';
	for (size_t i = 0; i < listening->count; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? "," : "",
					address_text(&listening->addresses[i].u.any, name));
	return text;
}
