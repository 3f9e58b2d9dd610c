/* watch_name - the addresses of a server's name, as they change. The last good answer stays in use when a look-up fails. */
#include "frontend/backends.h"
#include "frontend/watch_table.h"
#include <stdio.h>

static void log_name(const struct watched_server *server, const char *reason)
{
	struct target *target;
	char name[512], text[ADDRESS_TEXT_MAX], found[256] = "";
	struct log_line line;
	size_t len = 0;

	log_begin(&line, reason ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "backend_resolved", 0);
	snprintf(name, sizeof(name), "%s/%s", server->pool->config->name, server->config->host);
	log_value(&line, "backend", span_of(name));
	TAILQ_FOREACH(target, &server->targets, next)
	if (len < sizeof(found))
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s",
					len > 0 ? "," : "",
					address_text(&target->address.u.any, text));
	log_value(&line, "addresses", span_of(found));
	if (reason != NULL)
		log_value(&line, "reason", span_of(reason));
	log_end(&line);
}

static void look_up_failed(struct watched_server *server, const char *reason)
{
	if (!server->failing)
		log_name(server, reason);
	server->failing = true;
}

static size_t count_targets(const struct watched_pool *pool)
{
	struct target *target;
	size_t count = 0;

	for (size_t i = 0; i < pool->count; i++)
		TAILQ_FOREACH(target, &pool->servers[i].targets, next)
	count++;
	return count;
}

static bool add_address(struct watched_server *server, const struct address *address)
{
	struct target *target;

	if (target_find(&server->targets, address) != NULL ||
	    count_targets(server->pool) >= CONFIG_SERVERS_MAX)
		return false;
	target = target_new(server, address);
	if (target == NULL)
		return false;
	TAILQ_INSERT_TAIL(&server->targets, target, next);
	if (server->pool->watch->config->monitor.interval > 0)
		watch_set_due(server->pool->watch, &target->due, 0);
	return true;
}

static bool is_among(const struct target *target, const struct address *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (address_equal(&target->address, &addresses[i]))
			return true;
	return false;
}

/* True when they are not those that the server had. What stays keeps its place: name services rotate their answers. */
static bool take_addresses(struct watched_server *server, const struct address *addresses,
			   size_t count)
{
	struct target *target, *next;
	bool changed = false;

	for (target = TAILQ_FIRST(&server->targets); target != NULL; target = next) {
		next = TAILQ_NEXT(target, next);
		if (is_among(target, addresses, count))
			continue;
		TAILQ_REMOVE(&server->targets, target, next);
		target_free(target);
		changed = true;
	}
	for (size_t i = 0; i < count; i++)
		changed |= add_address(server, &addresses[i]);
	return changed;
}

static void resolved_to(struct watched_server *server, const struct address *addresses,
			size_t count)
{
	bool changed = take_addresses(server, addresses, count);

	if (changed || server->failing)
		log_name(server, NULL);
	server->failing = false;
	if (changed)
		watch_tell(server->pool);
}

void watch_resolved(struct watch *watch, const struct resolver_answer *answer)
{
	size_t pool = answer->id >> 16 & 0xffff, index = answer->id & 0xffff, count = 0;
	struct address allowed[CONFIG_SERVERS_MAX];
	struct watched_server *server;

	if (answer->id >> 32 != watch->generation || pool >= watch->config->pools.count ||
	    index >= watch->pools[pool].count)
		return;
	server = &watch->pools[pool].servers[index];
	for (size_t i = 0; i < answer->count; i++)
		if (backends_allow(server->pool->config, &answer->addresses[i]))
			allowed[count++] = answer->addresses[i];
	if (watch->config->monitor.interval > 0)
		watch_set_due(watch, &server->due, watch_jittered(watch->config->monitor.interval));
	if (answer->error != NULL || answer->count == 0) {
		look_up_failed(server, answer->error ? answer->error : "no address");
	} else if (count == 0) {
		look_up_failed(server, "clear text may not go to its addresses (plaintext_ok)");
	} else {
		resolved_to(server, allowed, count);
	}
}

void watch_name_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct watched_server *server = timer->data;
	struct watch *watch = server->pool->watch;
	uint64_t pool = (uint64_t)(server->pool - watch->pools);
	uint64_t index = (uint64_t)(server - server->pool->servers);

	/* the answer sets the timer; what cannot be asked now is asked again soon */
	if (resolver_ask(watch->resolver, (uint64_t)watch->generation << 32 | pool << 16 | index,
			 server->config->host, server->config->port) < 0)
		watch_set_due(watch, timer, watch_jittered(watch->config->monitor.retry));
}
