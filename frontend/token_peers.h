/* token_peers - the workers that ask the token process, each by a channel of its own (SOCK_SEQPACKET).
 * Invariants: requests are read on the loop, answers written by whichever thread has one; a peer lives until its last request has been
 * answered; one that sends what is no request is cut off.
 */
#ifndef FRONTEND_TOKEN_PEERS_H
#define FRONTEND_TOKEN_PEERS_H

#include "frontend/keeper_message.h"
#include <ev.h>

struct token_peers;
struct token_peer;

struct token_peers_handlers {
	/* DONE: the peer is kept, and token_peer_answer() will be called; else it is answered so at once. */
	enum keeper_status (*asked)(void *owner, struct token_peer *,
				    const struct keeper_request *);
	void (*emptied)(void *owner);
};

/* The handlers are borrowed. NULL without memory. */
struct token_peers *token_peers_new(struct ev_loop *, const struct token_peers_handlers *,
				    void *owner);
void token_peers_free(struct token_peers *); /* NULL is fine */
bool token_peers_up(struct token_peers *, uint32_t index, uint32_t incarnation,
		    int fd); /* takes fd */
void token_peers_down(struct token_peers *, uint32_t index, uint32_t incarnation);
bool token_peers_empty(const struct token_peers *);

/* From any thread, once for each request that was answered DONE. */
void token_peer_answer(struct token_peer *, const struct keeper_answer *);

#endif
