/* auth_table - the open exchanges of an auth process, by worker, session and serial.
 * Invariants: a slot is in one table at most; the order means nothing.
 */
#include "auth/auth_table.h"

static bool same_peer(struct auth_peer a, struct auth_peer b)
{
	return a.index == b.index && a.incarnation == b.incarnation;
}

void auth_table_add(struct auth_table *table, struct auth_slot *slot)
{
	slot->next = table->first;
	table->first = slot;
}

void auth_table_remove(struct auth_table *table, struct auth_slot *slot)
{
	struct auth_slot **link = &table->first;

	while (*link && *link != slot)
		link = &(*link)->next;
	if (*link)
		*link = slot->next;
}

struct auth_slot *auth_table_find(const struct auth_table *table, struct auth_peer peer,
				  struct auth_exchange key)
{
	struct auth_slot *slot = table->first;

	while (slot && !(same_peer(slot->peer, peer) && slot->key.session == key.session &&
			 slot->key.serial == key.serial))
		slot = slot->next;
	return slot;
}

size_t auth_table_count(const struct auth_table *table, const struct auth_peer *peer)
{
	size_t count = 0;

	for (const struct auth_slot *slot = table->first; slot; slot = slot->next)
		count += !peer || same_peer(slot->peer, *peer);
	return count;
}

static struct auth_slot *take(struct auth_table *table, struct auth_slot *slot)
{
	if (slot)
		auth_table_remove(table, slot);
	return slot;
}

struct auth_slot *auth_table_take_of(struct auth_table *table, struct auth_peer peer)
{
	struct auth_slot *slot = table->first;

	while (slot && !same_peer(slot->peer, peer))
		slot = slot->next;
	return take(table, slot);
}

struct auth_slot *auth_table_take_oldest(struct auth_table *table, struct auth_peer peer)
{
	struct auth_slot *oldest = NULL;

	/* The newest stand first: of those used at the same time the last is the oldest. */
	for (struct auth_slot *slot = table->first; slot; slot = slot->next)
		if (same_peer(slot->peer, peer) && (!oldest || slot->used <= oldest->used))
			oldest = slot;
	return take(table, oldest);
}

struct auth_slot *auth_table_take_idle(struct auth_table *table, double since)
{
	struct auth_slot *slot = table->first;

	while (slot && slot->used > since)
		slot = slot->next;
	return take(table, slot);
}
