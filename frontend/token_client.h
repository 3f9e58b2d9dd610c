/* token_client - a worker's way to the process that has the tokens, which may take their time: nothing here waits.
 * Invariants: one descriptor (SOCK_SEQPACKET, packets of keeper_message.h), many requests at a time, bounded; each that was taken is
 * answered once, never from inside token_client_ask(), also when the process dies; who asked is known by a number. Packets are wiped.
 */
#ifndef FRONTEND_TOKEN_CLIENT_H
#define FRONTEND_TOKEN_CLIENT_H

#include "frontend/keeper_message.h"
#include "frontend/tls.h"
#include <ev.h>
#include <sys/queue.h>

#define TOKEN_CLIENT_MAX 1024 /* requests that wait for an answer */

struct token_client_handlers {
	/* NULL: there is no signature. */
	void (*answered)(void *owner, uint64_t session, const uint8_t *signature, size_t len);
	/* Requests wait and none has been answered for half a minute; or what it says is no answer. */
	void (*stuck)(void *owner, uint32_t incarnation);
};

struct token_waiting;

struct token_client {
	struct ev_loop *loop;
	const struct token_client_handlers *handlers;
	void *owner;
	ev_io io; /* its descriptor is -1: no such process */
	ev_timer patience;
	uint32_t incarnation, sequence;
	bool retired; /* takes no more: closed when all is answered */
	unsigned count;
	STAILQ_HEAD(token_waiting_list, token_waiting) waiting;
};

/* The handlers are borrowed. */
void token_client_init(struct token_client *, struct ev_loop *,
		       const struct token_client_handlers *, void *owner);
void token_client_cleanup(struct token_client *); /* nobody is answered any more */

/* CONTROL_PEER_UP, _DOWN and _RETIRE. up: takes fd, in the place of what it had; the others: nothing when it has a later one. */
void token_client_up(struct token_client *, uint32_t incarnation, int fd);
void token_client_down(struct token_client *, uint32_t incarnation);
void token_client_retire(struct token_client *, uint32_t incarnation);

/* True: there will be an answer. False: no process, or too much waits already. */
bool token_client_ask(struct token_client *, uint64_t session, const struct tls_request *);

#endif
