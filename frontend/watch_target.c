/* watch_target - one address of a server: when it is looked at, and what becomes of what was seen. */
#include "frontend/watch_table.h"
#include <stdio.h>
#include <stdlib.h>

struct target *target_find(const struct targets *list, const struct address *address)
{
	struct target *target;

	TAILQ_FOREACH(target, list, next)
	if (address_equal(&target->address, address))
		return target;
	return NULL;
}

struct target *target_find_in_pool(const struct watched_pool *pool, const struct address *address)
{
	for (size_t i = 0; i < pool->count; i++) {
		struct target *target = target_find(&pool->servers[i].targets, address);

		if (target != NULL)
			return target;
	}
	return NULL;
}

static void log_health(const struct target *target, const struct probe_outcome *outcome)
{
	const struct watched_pool *pool = target->server->pool;
	struct extension_list list;
	char text[ADDRESS_TEXT_MAX], name[256], found[128] = "";
	struct log_line line;

	log_begin(&line, outcome->up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		  outcome->up ? "backend_up" : "backend_down", 0);
	snprintf(name, sizeof(name), "%s/%s", pool->config->name,
		 address_text(&target->address.u.any, text));
	log_word(&line, "backend", name);
	if (outcome->up) {
		extension_list(outcome->facts.extensions, &list);
		for (size_t i = 0, len = 0; list.items[i] != NULL && len < sizeof(found); i++)
			len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s",
						i > 0 ? "," : "", list.items[i]);
		log_value(&line, "capabilities", span_of(found));
	} else {
		log_value(&line, "reason", span_of(outcome->reason));
	}
	log_end(&line);
}

/* The store cannot be told who the client is: what it counts and logs by address is then about us. Told once for each pool. */
static void check_identity(struct watched_pool *pool, const struct probe_facts *facts)
{
	struct log_line line;

	if (facts->identity || pool->identity_told)
		return;
	pool->identity_told = true;
	log_begin(&line, LOG_LEVEL_WARNING, "backend_identity", 0);
	log_word(&line, "backend", pool->config->name);
	log_value(&line, "reason",
		  pool->config->protocol == PROTOCOL_IMAP
			  ? SPAN("it offers no ID: it cannot be told the client's address")
			  : SPAN("it offers no XCLIENT: it cannot be told the client's address"));
	log_end(&line);
}

static void probe_done(void *owner, const struct probe_outcome *outcome)
{
	struct target *target = owner;
	struct watched_pool *pool = target->server->pool;
	const struct config *config = pool->watch->config;
	enum health health = outcome->up ? HEALTH_UP : HEALTH_DOWN;
	bool changed = health != target->health;
	int seconds = config->monitor.interval;

	target->told = true;
	target->seconds = outcome->seconds;
	if (changed)
		log_health(target, outcome);
	target->health = health;
	if (outcome->up) {
		changed |= !target->answered ||
			   !extension_equal(target->facts.extensions, outcome->facts.extensions);
		target->answered = true;
		target->facts = outcome->facts;
		check_identity(pool, &outcome->facts);
	} else if (config->monitor.retry < seconds) {
		seconds = config->monitor.retry;
	}
	watch_set_due(pool->watch, &target->due, watch_jittered(seconds));
	if (changed)
		watch_tell(pool);
}

static void probe_over(void *owner)
{
	struct target *target = owner;

	target->run = NULL;
}

static void target_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	static const struct probe_handlers handlers = { probe_done, probe_over };
	struct target *target = timer->data;
	const struct watched_server *server = target->server;

	if (target->run != NULL && target->told) {
		probe_cancel(target->run);
		target->run = NULL;
	}
	if (target->run == NULL) {
		target->looked = ev_now(loop);
		target->told = false;
		target->run = probe_start(loop, &server->pool->settings, server->config->name,
					  &target->address, &handlers, target);
	}
	watch_set_due(server->pool->watch, timer,
		      watch_jittered(server->pool->watch->config->monitor.interval));
}

struct target *target_new(struct watched_server *server, const struct address *address)
{
	struct target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return NULL;
	target->server = server;
	target->address = *address;
	ev_timer_init(&target->due, target_due, 0, 0);
	target->due.data = target;
	return target;
}

void target_free(struct target *target)
{
	ev_timer_stop(target->server->pool->watch->loop, &target->due);
	if (target->run != NULL)
		probe_cancel(target->run);
	free(target);
}
