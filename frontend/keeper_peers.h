/* keeper_peers - one thread of the keeper per worker: it reads a request, signs and answers, and waits for the next.
 * Invariants: threads share nothing but the keys and the ticket keys; only the loop logs. A worker that sends what is no request is cut off; one that asks
 * for what is not signed gets a refusal, and the log tells of it.
 */
#ifndef FRONTEND_KEEPER_PEERS_H
#define FRONTEND_KEEPER_PEERS_H

#include "frontend/keeper_keys.h"
#include "frontend/keeper_tickets.h"
#include <ev.h>

struct keeper_peers;

/* emptied: the last of the threads has ended. NULL without memory. */
struct keeper_peers *keeper_peers_new(struct ev_loop *, struct keeper_keys *,
				      struct keeper_tickets *, void (*emptied)(void *owner),
				      void *owner);
void keeper_peers_free(
	struct keeper_peers *); /* ends all threads and waits for them; NULL is fine */

/* Takes fd (SOCK_SEQPACKET, blocking), also when it fails. One of that index from before is cut off. */
bool keeper_peers_up(struct keeper_peers *, uint32_t index, uint32_t incarnation, int fd);
void keeper_peers_down(struct keeper_peers *, uint32_t index, uint32_t incarnation);
bool keeper_peers_empty(const struct keeper_peers *);

#endif
