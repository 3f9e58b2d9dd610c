/* backends - see backends.h. */
#include "frontend/backends.h"
#include <stdlib.h>
#include <string.h>

static struct backend_target *find(const struct backends *backends, const struct address *address)
{
	for (size_t i = 0; i < backends->count; i++)
		if (address_equal(&backends->targets[i].address, address))
			return &backends->targets[i];
	return NULL;
}

bool backends_allow(const struct config_pool *config, const struct address *address)
{
	return config->tls != BACKEND_TLS_NONE || config->plaintext_ok ||
	       address_is_loopback(&address->u.any);
}

static void state_extensions(struct backends *backends)
{
	unsigned known = backends->config->protocol == PROTOCOL_SUBMISSION ? EXTENSIONS_SUBMISSION
									   : EXTENSIONS_POP3;

	for (size_t i = 0; i < backends->config->capabilities.count; i++)
		extension_note(&backends->extensions, known,
			       span_of(backends->config->capabilities.items[i]));
}

int backends_init(struct backends *backends, const struct config_pool *config)
{
	*backends = (struct backends) { .config = config };
	state_extensions(backends);
	backends->targets = calloc(config->servers.count + 1, sizeof(*backends->targets));
	if (backends->targets == NULL)
		return -1;
	for (size_t i = 0; i < config->servers.count; i++) {
		const struct address *address = &config->servers.items[i].address;

		if (address->len > 0 && backends_allow(config, address))
			backends->targets[backends->count++] =
				(struct backend_target) { .server = i, .address = *address };
	}
	return 0;
}

void backends_cleanup(struct backends *backends)
{
	free(backends->targets);
	backends->targets = NULL;
	backends->count = 0;
}

static void take_extensions(struct backends *backends, bool known, struct extension_set extensions)
{
	backends->known = known;
	if (backends->config->capabilities.count == 0)
		backends->extensions = extensions;
}

void backends_inherit(struct backends *backends, const struct backends *earlier)
{
	if (strcmp(backends->config->name, earlier->config->name) != 0 ||
	    backends->config->protocol != earlier->config->protocol)
		return;
	/* what an operator stated is no finding */
	if (earlier->config->capabilities.count == 0)
		take_extensions(backends, earlier->known, earlier->extensions);
	for (size_t i = 0; i < backends->count; i++) {
		struct backend_target *target = &backends->targets[i];
		const struct backend_target *old = find(earlier, &target->address);

		if (old == NULL)
			continue;
		target->health = old->health;
		target->suspect = old->suspect;
		target->held = old->held;
	}
}

bool backends_publish(struct backends *backends, const struct published_pool *word)
{
	struct backend_target *targets = calloc(word->count + 1, sizeof(*targets));
	size_t count = 0;

	if (targets == NULL)
		return false;
	for (size_t i = 0; i < word->count; i++) {
		const struct published_target *said = &word->targets[i];
		const struct backend_target *old = find(backends, &said->address);
		struct backend_target *target = &targets[count];

		if (said->server >= backends->config->servers.count ||
		    !backends_allow(backends->config, &said->address))
			continue;
		*target = (struct backend_target) { said->server, said->address, said->health,
						    old && old->suspect, old ? old->held : 0 };
		/* it has come back: the failure that we saw was before that */
		if (old && old->health == HEALTH_DOWN && said->health == HEALTH_UP)
			target->suspect = false;
		count++;
	}
	free(backends->targets);
	backends->targets = targets;
	backends->count = count;
	take_extensions(backends, word->known, word->extensions);
	return true;
}

bool backends_failed(struct backends *backends, const struct address *address, double until)
{
	struct backend_target *target = find(backends, address);
	bool news = target != NULL && !target->suspect && target->health != HEALTH_DOWN;

	if (target == NULL)
		return false;
	target->suspect = true;
	target->held = until;
	return news;
}

bool backends_worked(struct backends *backends, const struct address *address)
{
	struct backend_target *target = find(backends, address);
	bool news = target != NULL && target->suspect;

	if (target != NULL)
		target->suspect = false;
	return news;
}

static void choose(struct backend_plan *plan, const struct backends *backends,
		   const struct backend_target *target)
{
	plan->choices[plan->count].name = backends->config->servers.items[target->server].name;
	plan->choices[plan->count++].address = target->address;
}

/* Whether it is tried in its turn. One that failed a while ago is tried by this login, and meanwhile by no other. */
static bool in_turn(struct backend_target *target, double now, double retry)
{
	if (target->health == HEALTH_DOWN)
		return false;
	if (!target->suspect)
		return true;
	if (target->held > now)
		return false;
	target->held = now + retry;
	return true;
}

struct backend_plan *backends_plan(struct backends *backends, double now, double retry)
{
	struct backend_plan *plan =
		calloc(1, sizeof(*plan) + backends->count * sizeof(plan->choices[0]));
	bool chosen[CONFIG_SERVERS_MAX + 1] = { false };

	if (plan == NULL)
		return NULL;
	for (size_t i = 0; i < backends->count; i++) {
		chosen[i] = in_turn(&backends->targets[i], now, retry);
		if (chosen[i])
			choose(plan, backends, &backends->targets[i]);
	}
	for (size_t i = 0; i < backends->count; i++)
		if (!chosen[i])
			choose(plan, backends, &backends->targets[i]);
	return plan;
}
