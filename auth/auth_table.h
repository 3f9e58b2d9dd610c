/* auth_table - the open exchanges of an auth process, by worker, session and serial; a list, since a step of SASL costs far more
 * than walking it. Invariants: owns nothing; what is taken or removed is the caller's to free. Pure.
 */
#ifndef AUTH_AUTH_TABLE_H
#define AUTH_AUTH_TABLE_H

#include "auth/auth_message.h"

/* Who asks: a worker. A restarted one is another peer. */
struct auth_peer {
	uint32_t index, incarnation;
};

/* Stands first in what the table holds. */
struct auth_slot {
	struct auth_slot *next;
	struct auth_peer peer;
	struct auth_exchange key;
	double used; /* when its last step was */
};

struct auth_table {
	struct auth_slot *first;
};

void auth_table_add(struct auth_table *, struct auth_slot *);
void auth_table_remove(struct auth_table *, struct auth_slot *);
struct auth_slot *auth_table_find(const struct auth_table *, struct auth_peer,
				  struct auth_exchange);                      /* NULL: not open */
size_t auth_table_count(const struct auth_table *, const struct auth_peer *); /* NULL: of all */

/* Any one of that peer, its longest idle, or any not used since, removed; NULL when there is none left. */
struct auth_slot *auth_table_take_of(struct auth_table *, struct auth_peer);
struct auth_slot *auth_table_take_oldest(struct auth_table *, struct auth_peer);
struct auth_slot *auth_table_take_idle(struct auth_table *, double since);

#endif
