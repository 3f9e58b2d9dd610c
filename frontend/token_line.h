/* token_line - what waits for one token: requests in their order, and a few threads that have it sign.
 * Invariants: bounded; a token that is slow keeps those of other tokens waiting no longer than they would; each request that was taken is
 * answered once, by a thread, or when the line ends. Requests are wiped.
 */
#ifndef FRONTEND_TOKEN_LINE_H
#define FRONTEND_TOKEN_LINE_H

#include "frontend/keeper_message.h"
#include "frontend/token_module.h"

#define TOKEN_LINE_MAX     4096 /* requests that wait */
#define TOKEN_LINE_THREADS 4

struct token_line;
struct token_peer;

struct token_line_handlers {
	/* From a thread; output: with KEEPER_DONE. The peer is given back with it. */
	void (*answer)(struct token_peer *, const struct keeper_answer *);
	/* From a thread: the token has gone, or has forgotten us. */
	void (*lost)(void *owner);
};

/* For all keys of one token. The handlers are borrowed. NULL: no memory, or the token takes no further session. */
struct token_line *token_line_new(struct token_module *, unsigned long slot,
				  const struct token_line_handlers *, void *owner);
/* Waits for what is being signed; answers the rest as failed. NULL is fine. */
void token_line_free(struct token_line *);

/* Copies the request and keeps the peer until it is answered. False: too many wait. */
bool token_line_add(struct token_line *, const struct token_key *, struct token_peer *,
		    const struct keeper_request *);

#endif
