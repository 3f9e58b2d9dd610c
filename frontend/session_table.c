/* session_table - see session_table.h. */
#include "frontend/session_table.h"
#include "frontend/metrics.h"
#include "frontend/session.h"

const char *const session_state_names[SESSION_STATES] = {
	[SESSION_ACCEPTED] = "accepted", [SESSION_HANDSHAKE] = "handshake",
	[SESSION_DIALOGUE] = "dialogue", [SESSION_AUTH] = "auth",
	[SESSION_CONNECT] = "connect",   [SESSION_LOGIN] = "login",
	[SESSION_DELAY] = "delay",       [SESSION_RELAY] = "relay",
	[SESSION_CLOSING] = "closing",   [SESSION_CLOSED] = "closed",
};

static unsigned bucket_of(uint64_t id)
{
	return (unsigned)(id % SESSION_BUCKETS); /* the low half is a counter */
}

void session_table_init(struct session_table *table)
{
	*table = (struct session_table) { .total = 0 };
	for (size_t i = 0; i < SESSION_STATES; i++)
		LIST_INIT(&table->by_state[i]);
	for (size_t i = 0; i < SESSION_BUCKETS; i++)
		LIST_INIT(&table->by_id[i]);
}

/* The gauge of that state, for the house. */
static unsigned gauge_of(const struct session *s, enum session_state state)
{
	return METRIC_SESSIONS + (unsigned)s->listener->config->protocol * SESSION_STATES + state;
}

static void count(const struct session *s, enum session_state state)
{
	metrics_add(s->worker->shared, s->worker->start->index, gauge_of(s, state), 1);
}

static void uncount(const struct session *s, enum session_state state)
{
	metrics_subtract(s->worker->shared, s->worker->start->index, gauge_of(s, state), 1);
}

void session_table_add(struct session_table *table, struct session *s)
{
	LIST_INSERT_HEAD(&table->by_state[s->state], s, of_state);
	LIST_INSERT_HEAD(&table->by_id[bucket_of(s->id)], s, of_id);
	table->count[s->state]++;
	table->total++;
	count(s, s->state);
}

void session_table_move(struct session_table *table, struct session *s, enum session_state from,
			enum session_state to)
{
	LIST_REMOVE(s, of_state);
	LIST_INSERT_HEAD(&table->by_state[to], s, of_state);
	table->count[from]--;
	table->count[to]++;
	uncount(s, from);
	count(s, to);
}

void session_table_remove(struct session_table *table, struct session *s)
{
	LIST_REMOVE(s, of_state);
	LIST_REMOVE(s, of_id);
	table->count[s->state]--;
	table->total--;
	uncount(s, s->state);
}

struct session *session_table_find(const struct session_table *table, uint64_t id)
{
	struct session *s;

	LIST_FOREACH (s, &table->by_id[bucket_of(id)], of_id) {
		if (s->id == id)
			return s;
	}
	return NULL;
}
