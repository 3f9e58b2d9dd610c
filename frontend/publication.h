/* publication - what the monitor tells the workers of a pool, and what a worker tells it: the messages of their channel.
 * Invariants: bounded; what is decoded has its numbers and addresses checked, not whether they fit the reader's configuration: the
 * reader compares the generation and looks. Pure, but for the types of the configuration.
 */
#ifndef FRONTEND_PUBLICATION_H
#define FRONTEND_PUBLICATION_H

#include "frontend/config.h"
#include "protocols/extension.h"

enum publication_type {
	PUBLICATION_POOL = 1, /* monitor to worker: all that is known of one pool */
	PUBLICATION_SUSPECT, /* worker to monitor: a login failed there for a cause of the server's */
};

enum health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* One address of a server. */
struct published_target {
	uint32_t server; /* which of the pool's servers: it gives the name in the certificate */
	struct address address;
	enum health health;
};

struct published_pool {
	uint32_t generation, pool;       /* of the configuration */
	bool known;                      /* a server of it has answered; else the set is empty */
	struct extension_set extensions; /* what all that answered can do */
	size_t count;
	struct published_target targets[CONFIG_SERVERS_MAX];
};

struct published_suspect {
	uint32_t generation, pool;
	struct address address;
};

void publication_put_pool(struct message_writer *, const struct published_pool *);
void publication_put_suspect(struct message_writer *, const struct published_suspect *);
/* False when it is malformed; *out is then of no use. */
bool publication_get_pool(struct message_reader *, struct published_pool *out);
bool publication_get_suspect(struct message_reader *, struct published_suspect *out);

#endif
