/* watch - see watch.h: the table, and what others ask of it. */
#include "frontend/backends.h"
#include "frontend/watch_table.h"
#include <stdlib.h>
#include <string.h>

#define START_SECONDS   1.0 /* over which the first probes of a large house are spread */
#define START_AT_ONCE   8
#define SUSPECT_SECONDS 1.0 /* an address is looked at no more often, whoever complains */

/* 0 to 1. */
static double random_share(void)
{
	return arc4random_uniform(1000) / 1000.0;
}

double watch_jittered(double seconds)
{
	return seconds * (0.9 + 0.2 * random_share());
}

void watch_set_due(struct watch *watch, ev_timer *timer, double seconds)
{
	ev_timer_stop(watch->loop, timer);
	ev_timer_set(timer, seconds, 0);
	ev_timer_start(watch->loop, timer);
}

void watch_tell(const struct watched_pool *pool)
{
	struct watch *watch = pool->watch;

	watch->handlers->changed(watch->owner, watch, (size_t)(pool - watch->pools));
}

/* ---- making it ---- */

/* The configuration has an entry for each address that a name had: those of one server stand together. */
static bool same_server(const struct config_server *a, const struct config_server *b)
{
	return a->source.line == b->source.line && strcmp(a->source.file, b->source.file) == 0 &&
	       config_server_same_name(a, b);
}

static void server_init(struct watched_server *server, struct watched_pool *pool, size_t index)
{
	struct address numeric;

	server->pool = pool;
	server->config = &pool->config->servers.items[index];
	server->index = (uint32_t)index;
	server->named =
		server->config->host[0] != '/' && !address_parse(server->config->host, 0, &numeric);
	TAILQ_INIT(&server->targets);
	ev_timer_init(&server->due, watch_name_due, 0, 0);
	server->due.data = server;
}

static bool add_target(struct watched_server *server, const struct address *address)
{
	struct target *target = target_new(server, address);

	if (target == NULL)
		return false;
	TAILQ_INSERT_TAIL(&server->targets, target, next);
	return true;
}

static bool make_servers(struct watched_pool *pool)
{
	const struct config_server *items = pool->config->servers.items;

	pool->servers = calloc(pool->config->servers.count, sizeof(*pool->servers));
	if (pool->servers == NULL)
		return false;
	for (size_t i = 0; i < pool->config->servers.count; i++) {
		struct watched_server *server;

		if (i == 0 || !same_server(&items[i - 1], &items[i]))
			server_init(&pool->servers[pool->count++], pool, i);
		server = &pool->servers[pool->count - 1];
		if (items[i].address.len == 0 || !backends_allow(pool->config, &items[i].address))
			continue;
		if (!add_target(server, &items[i].address))
			return false;
	}
	return true;
}

static void pool_init(struct watch *watch, size_t i, struct config_faults *faults)
{
	struct watched_pool *pool = &watch->pools[i];
	const struct config_pool *config = &watch->config->pools.items[i];
	char why[256] = "out of memory";

	pool->watch = watch;
	pool->config = config;
	if (config->tls != BACKEND_TLS_NONE)
		pool->tls = tls_context_client(config, why);
	pool->settings = (struct probe_settings) {
		.pool = config,
		.tls = pool->tls,
		.hostname = watch->config->hostname,
		.timeout = watch->config->limits.connect_timeout,
	};
	if ((config->tls != BACKEND_TLS_NONE && pool->tls == NULL) || !make_servers(pool))
		config_fault(faults, false, config->source.file, config->source.line, "%s", why);
}

static void drop_targets(struct watched_server *server)
{
	while (!TAILQ_EMPTY(&server->targets)) {
		struct target *target = TAILQ_FIRST(&server->targets);

		TAILQ_REMOVE(&server->targets, target, next);
		target_free(target);
	}
}

/* Where a name led last is newer than what the configuration says of it, and may be all that is known. */
static void inherit_addresses(struct watched_server *server, const struct watched_pool *earlier)
{
	for (size_t i = 0; i < earlier->count; i++) {
		const struct watched_server *had = &earlier->servers[i];
		const struct target *old;

		if (TAILQ_EMPTY(&had->targets) ||
		    !config_server_same_name(server->config, had->config))
			continue;
		drop_targets(server);
		TAILQ_FOREACH(old, &had->targets, next)
		if (backends_allow(server->pool->config, &old->address))
			add_target(server, &old->address);
		return;
	}
}

static void inherit(struct watched_pool *pool, const struct watched_pool *earlier)
{
	struct target *target;

	if (strcmp(pool->config->name, earlier->config->name) != 0 ||
	    pool->config->protocol != earlier->config->protocol)
		return;
	pool->identity_told = earlier->identity_told;
	for (size_t i = 0; i < pool->count; i++) {
		if (pool->servers[i].named)
			inherit_addresses(&pool->servers[i], earlier);
		TAILQ_FOREACH(target, &pool->servers[i].targets, next)
		{
			const struct target *old = target_find_in_pool(earlier, &target->address);

			if (old == NULL)
				continue;
			target->health = old->health;
			target->answered = old->answered;
			target->facts = old->facts;
			target->seconds = old->seconds;
		}
	}
}

struct watch *watch_new(struct ev_loop *loop, struct resolver *resolver, struct config *config,
			uint32_t generation, const struct watch *earlier,
			const struct watch_handlers *handlers, void *owner,
			struct config_faults *faults)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	size_t before = faults->errors;

	if (watch != NULL)
		*watch = (struct watch) { loop,
					  resolver,
					  config,
					  generation,
					  handlers,
					  owner,
					  .pools = calloc(config->pools.count,
							  sizeof(*watch->pools)) };
	if (watch == NULL || watch->pools == NULL) {
		config_fault(faults, false, "-", 0, "out of memory");
		config_free(config);
		free(watch);
		return NULL;
	}
	for (size_t i = 0; i < config->pools.count; i++) {
		pool_init(watch, i, faults);
		for (size_t j = 0; earlier != NULL && j < earlier->config->pools.count; j++)
			inherit(&watch->pools[i], &earlier->pools[j]);
	}
	if (faults->errors == before)
		return watch;
	watch_free(watch);
	return NULL;
}

/* Names are looked up in any case: the configuration's addresses may be those of long ago. */
void watch_start(struct watch *watch)
{
	bool probes = watch->config->monitor.interval > 0;
	size_t seen = 0;
	struct target *target;

	for (size_t i = 0; i < watch->config->pools.count; i++)
		for (size_t j = 0; j < watch->pools[i].count; j++) {
			struct watched_server *server = &watch->pools[i].servers[j];

			if (server->named)
				watch_set_due(watch, &server->due,
					      TAILQ_EMPTY(&server->targets)
						      ? 0
						      : START_SECONDS * random_share());
			/* the first ones at once */
			TAILQ_FOREACH(target, &server->targets, next)
			if (probes)
				watch_set_due(watch, &target->due,
					      seen++ < START_AT_ONCE
						      ? 0
						      : START_SECONDS * random_share());
		}
}

static void server_cleanup(struct watched_server *server)
{
	ev_timer_stop(server->pool->watch->loop, &server->due);
	drop_targets(server);
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < watch->config->pools.count; i++) {
		for (size_t j = 0; j < watch->pools[i].count; j++)
			server_cleanup(&watch->pools[i].servers[j]);
		free(watch->pools[i].servers);
		tls_context_drop(watch->pools[i].tls);
	}
	free(watch->pools);
	config_free(watch->config);
	free(watch);
}

/* ---- what others ask ---- */

const struct config *watch_config(const struct watch *watch)
{
	return watch->config;
}

uint32_t watch_generation(const struct watch *watch)
{
	return watch->generation;
}

static void add_published(struct published_pool *out, const struct target *target)
{
	if (target->answered) {
		out->extensions =
			out->known ? extension_meet(out->extensions, target->facts.extensions)
				   : target->facts.extensions;
		out->known = true;
	}
	if (out->count < CONFIG_SERVERS_MAX)
		out->targets[out->count++] = (struct published_target) {
			.server = target->server->index,
			.address = target->address,
			.health = target->health,
		};
}

void watch_publication(const struct watch *watch, size_t index, struct published_pool *out)
{
	const struct watched_pool *pool = &watch->pools[index];
	struct target *target;

	memset(out, 0, sizeof(*out));
	out->generation = watch->generation;
	out->pool = (uint32_t)index;
	for (size_t i = 0; i < pool->count; i++)
		TAILQ_FOREACH(target, &pool->servers[i].targets, next)
	add_published(out, target);
}

void watch_suspect(struct watch *watch, const struct published_suspect *suspect)
{
	struct target *target;
	double wait;

	if (suspect->generation != watch->generation ||
	    suspect->pool >= watch->config->pools.count || watch->config->monitor.interval == 0)
		return;
	target = target_find_in_pool(&watch->pools[suspect->pool], &suspect->address);
	if (target == NULL ||
	    target->health == HEALTH_DOWN) /* that is known, and looked at anyway */
		return;
	wait = target->looked + SUSPECT_SECONDS - ev_now(watch->loop);
	if (ev_timer_remaining(watch->loop, &target->due) > wait)
		watch_set_due(watch, &target->due, wait > 0 ? wait : 0);
}

void watch_each(const struct watch *watch, void (*show)(void *, const struct watch_view *),
		void *owner)
{
	for (size_t i = 0; i < watch->config->pools.count; i++)
		for (size_t j = 0; j < watch->pools[i].count; j++) {
			const struct watched_server *server = &watch->pools[i].servers[j];
			struct target *target;

			TAILQ_FOREACH(target, &server->targets, next)
			{
				const struct watch_view view = {
					.pool = server->pool->config->name,
					.host = server->config->host,
					.address = &target->address,
					.health = target->health,
					.seconds = target->seconds,
				};

				show(owner, &view);
			}
		}
}

bool watch_pool_usable(const struct watch *watch, size_t index)
{
	const struct watched_pool *pool = &watch->pools[index];
	struct target *target;

	for (size_t i = 0; i < pool->count; i++)
		TAILQ_FOREACH(target, &pool->servers[i].targets, next)
	if (target->health != HEALTH_DOWN)
		return true;
	return false;
}
