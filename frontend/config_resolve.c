/* config_resolve - the addresses of the servers that a configuration names.
 * Invariants: a name that does not resolve, or not in time, is a warning: the server behind it may be down, and so may its
 * name server; the monitor asks again. The supervisor never waits for a name server longer than it was told to: a process
 * of its own asks, and leaves what it finds in memory that both share.
 */
#include "frontend/config_load.h"
#include "frontend/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A name, and what was found out about it. */
struct lookup {
	const char *host;
	atomic_bool done;
	int code; /* of resolver_look_up() */
	size_t count;
	struct address addresses[CONFIG_SERVERS_MAX]; /* without ports */
};

/* Shared with the process that asks; NULL: no memory for them. */
struct lookups {
	struct lookup *items;
	size_t count, size; /* size: of the mapping */
};

/* ---- the names ---- */

static bool server_has_name(const struct config_loader *loader, const struct config_server *server)
{
	struct address address;

	return !doubtful(loader, server) && server->host[0] != '/' && server->port != 0 &&
	       !address_parse(server->host, 0, &address);
}

static struct lookup *lookup_find(const struct lookups *lookups, const char *host)
{
	for (size_t i = 0; i < lookups->count; i++)
		if (strcasecmp(lookups->items[i].host, host) == 0)
			return &lookups->items[i];
	return NULL;
}

static size_t count_servers(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->pools.count; i++)
		count += config->pools.items[i].servers.count;
	return count;
}

static void collect(struct config_loader *loader, struct lookups *lookups)
{
	const struct config *config = loader->config;
	size_t size = (count_servers(config) + 1) * sizeof(struct lookup);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	*lookups = (struct lookups) { memory, 0, size };
	for (size_t i = 0; i < config->pools.count; i++) {
		const struct config_pool *pool = &config->pools.items[i];

		for (size_t j = 0; j < pool->servers.count; j++) {
			const struct config_server *server = &pool->servers.items[j];

			if (server_has_name(loader, server) && !lookup_find(lookups, server->host))
				lookups->items[lookups->count++].host = server->host;
		}
	}
}

/* ---- the process that asks ---- */

static _Noreturn void ask_all(const struct lookups *lookups, pid_t parent)
{
	/* it holds what its parent holds, so it must not outlive that */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		for (size_t i = 0; i < lookups->count; i++) {
			struct lookup *lookup = &lookups->items[i];

			lookup->code = resolver_look_up(lookup->host, 0, lookup->addresses,
							&lookup->count);
			atomic_store(&lookup->done, true);
		}
	_exit(0);
}

static int milliseconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int)((now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000);
}

/* Until the other end of the pipe is gone, which its process holds. */
static void wait_for_end(int fd, int milliseconds)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	struct timespec begin;
	int left = milliseconds;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (left > 0 && poll(&entry, 1, left) < 0 && errno == EINTR)
		left = milliseconds - milliseconds_since(&begin);
}

static void ask(const struct lookups *lookups, int milliseconds)
{
	pid_t parent = getpid(), child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	child = fork();
	if (child == 0)
		ask_all(lookups, parent);
	close(ends[1]);
	if (child > 0) {
		wait_for_end(ends[0], milliseconds);
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
}

static void lookups_cleanup(struct lookups *lookups)
{
	if (lookups->items != NULL)
		munmap(lookups->items, lookups->size);
}

/* ---- what they become ---- */

static void set_port(struct address *address, int port)
{
	if (address->u.any.sa_family == AF_INET6)
		address->u.v6.sin6_port = htons((uint16_t)port);
	else
		address->u.v4.sin_port = htons((uint16_t)port);
}

/* One entry per address that the name has, in the order of the operator's name service; 0: none, and a warning. */
static size_t take_addresses(struct config_loader *loader, const struct lookups *lookups,
			     const struct config_server *server, struct config_server *out,
			     size_t max)
{
	const struct lookup *lookup = lookup_find(lookups, server->host);
	bool done = lookup != NULL && atomic_load(&lookup->done);
	size_t count = 0;

	if (!done || lookup->code != 0) {
		config_warning_at(loader, &server->host, &server->source,
				  "the server \"%s\" has no address: %s", server->host,
				  done ? gai_strerror(lookup->code)
				       : "the name service has not answered in time");
		return 0;
	}
	for (; count < lookup->count && count < max; count++) {
		out[count] = *server;
		out[count].address = lookup->addresses[count];
		set_port(&out[count].address, server->port);
	}
	return count;
}

/* Writes 1 to max entries for that server; without an address it stays as it was. */
static size_t resolve_server(struct config_loader *loader, const struct lookups *lookups,
			     struct config_server *server, struct config_server *out, size_t max)
{
	size_t count = 0;

	if (doubtful(loader, server)) {
		/* its faults are known */
	} else if (server->host[0] == '/') {
		if (!address_local(server->host, &server->address))
			config_error_at(loader, &server->host, &server->source,
					"\"host\": the path of the socket is too long");
		if (server->port != 0)
			config_error_at(loader, &server->port, &server->source,
					"\"port\" has no meaning for a Unix socket");
	} else if (server->port == 0) {
		config_error_at(loader, &server->host, &server->source,
				"\"port\" is missing for the server \"%s\"", server->host);
	} else if (!address_parse(server->host, (unsigned)server->port, &server->address)) {
		count = take_addresses(loader, lookups, server, out, max);
	}
	if (count == 0)
		out[count++] = *server;
	return count;
}

/* A name with several addresses becomes as many servers, tried in that order. */
static void resolve_pool(struct config_loader *loader, const struct lookups *lookups,
			 struct config_pool *pool)
{
	size_t left = pool->servers.count, count = 0;
	struct config_server *all;

	if (left == 0)
		return;
	all = arena_array(loader->config->arena, CONFIG_SERVERS_MAX, sizeof(*all));
	for (size_t i = 0; i < pool->servers.count; i++, left--)
		count += resolve_server(loader, lookups, &pool->servers.items[i], &all[count],
					CONFIG_SERVERS_MAX - count - (left - 1));
	if (count == pool->servers.count) { /* where they stand, faults still find their lines */
		memcpy(pool->servers.items, all, count * sizeof(*all));
		return;
	}
	pool->servers.items = all;
	pool->servers.count = count;
}

void config_resolve(struct config_loader *loader, int milliseconds)
{
	struct config *config = loader->config;
	struct lookups lookups = { 0 };

	collect(loader, &lookups);
	if (lookups.count > 0)
		ask(&lookups, milliseconds);
	for (size_t i = 0; i < config->pools.count; i++)
		resolve_pool(loader, &lookups, &config->pools.items[i]);
	lookups_cleanup(&lookups);
}
