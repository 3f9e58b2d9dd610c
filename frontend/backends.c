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
	backends->targets =
		calloc(config->servers.count + CONFIG_SERVERS_MAX, sizeof(*backends->targets));
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

static void insert(struct backends *backends, const struct backend_target *new)
{
	size_t place = backends->count++;

	for (; place > 0 && backends->targets[place - 1].server > new->server; place--)
		backends->targets[place] = backends->targets[place - 1];
	backends->targets[place] = *new;
}

static const struct config_server *server_of(const struct backends *backends,
					     const struct backend_target *target)
{
	return &backends->config->servers.items[target->server];
}

static bool has_addresses(const struct backends *backends, const struct config_server *server)
{
	for (size_t i = 0; i < backends->count; i++)
		if (config_server_same_name(server_of(backends, &backends->targets[i]), server))
			return true;
	return false;
}

static void forget_addresses(struct backends *backends, const struct config_server *server)
{
	size_t kept = 0;

	for (size_t i = 0; i < backends->count; i++)
		if (!config_server_same_name(server_of(backends, &backends->targets[i]), server))
			backends->targets[kept++] = backends->targets[i];
	backends->count = kept;
}

/* Where a name led last is newer than what the configuration says of it, and may be all that is known. */
static void inherit_addresses(struct backends *backends, size_t index,
			      const struct backends *earlier)
{
	const struct config_server *server = &backends->config->servers.items[index];

	if (!has_addresses(earlier, server))
		return;
	forget_addresses(backends, server);
	for (size_t i = 0; i < earlier->count && backends->count < CONFIG_SERVERS_MAX; i++) {
		struct backend_target target = earlier->targets[i];

		if (!config_server_same_name(server, server_of(earlier, &target)) ||
		    !backends_allow(backends->config, &target.address))
			continue;
		target.server = index;
		insert(backends, &target);
	}
}

void backends_inherit(struct backends *backends, const struct backends *earlier)
{
	const struct config_server *items = backends->config->servers.items;

	if (strcmp(backends->config->name, earlier->config->name) != 0 ||
	    backends->config->protocol != earlier->config->protocol)
		return;
	/* what an operator stated is no finding */
	if (earlier->config->capabilities.count == 0)
		take_extensions(backends, earlier->known, earlier->extensions);
	for (size_t i = 0; i < backends->config->servers.count; i++)
		if (i == 0 || !config_server_same_name(&items[i - 1], &items[i]))
			inherit_addresses(backends, i, earlier);
	for (size_t i = 0; i < backends->count; i++) {
		struct backend_target *target = &backends->targets[i];
		const struct backend_target *old = find(earlier, &target->address);

		if (old == NULL)
			continue;
		target->health = old->health;
		target->suspect = old->suspect;
		target->held = old->held;
		target->doubt = old->doubt;
	}
}

bool backends_publish(struct backends *backends, const struct published_pool *word)
{
	struct backend_target *targets = calloc(word->count + 1, sizeof(*targets));
	size_t count = 0;
	bool kept = false;

	if (targets == NULL)
		return false;
	for (size_t i = 0; i < word->count; i++) {
		const struct published_target *said = &word->targets[i];
		const struct backend_target *old = find(backends, &said->address);
		struct backend_target *target = &targets[count];

		if (said->server >= backends->config->servers.count ||
		    !backends_allow(backends->config, &said->address))
			continue;
		if (old != NULL)
			*target = *old;
		kept |= old != NULL;
		target->server = said->server;
		target->address = said->address;
		if (said->health != HEALTH_UNKNOWN)
			target->health = said->health;
		/* it has come back: the failure that we saw was before that */
		if (old && old->health == HEALTH_DOWN && said->health == HEALTH_UP)
			target->suspect = false;
		count++;
	}
	if (count == 0) { /* its names have no address yet */
		free(targets);
		return false;
	}
	free(backends->targets);
	backends->targets = targets;
	backends->count = count;
	if (word->known || !kept)
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

bool backends_doubted(struct backends *backends, const struct address *address, uint64_t user)
{
	struct backend_target *target = find(backends, address);
	bool counts = target != NULL && target->doubt != 0 && target->doubt != user;

	if (target != NULL)
		target->doubt = user;
	return counts;
}

bool backends_worked(struct backends *backends, const struct address *address)
{
	struct backend_target *target = find(backends, address);
	bool news = target != NULL && target->suspect;

	if (target != NULL) {
		target->suspect = false;
		target->doubt = 0;
	}
	return news;
}

static void choose(struct backend_plan *plan, const struct backends *backends,
		   const struct backend_target *target)
{
	plan->choices[plan->count].name = backends->config->servers.items[target->server].name;
	plan->choices[plan->count++].address = target->address;
}

enum turn { TURN_ITS_OWN, TURN_HELD, TURN_LAST };

/* When it is tried. One that failed a while ago is tried in its own turn by this login, and meanwhile by no other. */
static enum turn turn_of(struct backend_target *target, double now, double retry)
{
	if (target->health == HEALTH_DOWN)
		return TURN_LAST;
	if (!target->suspect)
		return TURN_ITS_OWN;
	if (target->held > now)
		return TURN_HELD;
	target->held = now + retry;
	return TURN_ITS_OWN;
}

struct backend_plan *backends_plan(struct backends *backends, double now, double retry)
{
	struct backend_plan *plan =
		calloc(1, sizeof(*plan) + backends->count * sizeof(plan->choices[0]));
	enum turn turns[CONFIG_SERVERS_MAX + 1];

	if (plan == NULL)
		return NULL;
	for (size_t i = 0; i < backends->count; i++)
		turns[i] = turn_of(&backends->targets[i], now, retry);
	for (enum turn turn = TURN_ITS_OWN; turn <= TURN_LAST; turn++)
		for (size_t i = 0; i < backends->count; i++)
			if (turns[i] == turn)
				choose(plan, backends, &backends->targets[i]);
	return plan;
}
