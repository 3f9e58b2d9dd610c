/* auth_client - a worker's asynchronous side of the auth processes.
 * Invariants: at most one step is outstanding per auth process, the rest waits here, bounded and each with a deadline;
 * the steps of an exchange go to the process that began it, before anything new. Each step that was accepted gets exactly
 * one answer unless it is cancelled, and never from inside auth_client_begin() or auth_client_continue(). Queued requests
 * are wiped on every path.
 */
#ifndef FRONTEND_AUTH_CLIENT_H
#define FRONTEND_AUTH_CLIENT_H

#include "auth/auth_message.h"
#include <ev.h>

#define AUTH_CLIENT_WAITING_MAX 1024 /* steps that wait for a process */

struct auth_client;

struct auth_client_handlers {
	/* The answer to a step; AUTH_TEMPORARY also when its process died, its deadline passed or too many wait. After
	 * anything but AUTH_CHALLENGE the exchange is forgotten. The spans are gone when it returns. It may begin, continue
	 * and cancel, but not free the client. */
	void (*answer)(void *owner, const struct auth_answer *);
	/* That process left a step without an answer for step_timeout, or broke the protocol; it is not used again. */
	void (*stuck)(void *owner, unsigned index, unsigned incarnation);
	/* Steps wait and no process is free: more of them would help. At most once a second. */
	void (*busy)(void *owner);
};

/* NULL without memory. The handlers are borrowed. */
struct auth_client *auth_client_new(struct ev_loop *, double step_timeout,
				    const struct auth_client_handlers *, void *owner);
/* For the steps that begin from now on. */
void auth_client_set_timeout(struct auth_client *, double step_timeout);
void auth_client_free(struct auth_client *); /* no answers any more; NULL is fine */

/* Takes fd, also when memory is out. An older incarnation of that index is gone with it. */
void auth_client_peer_up(struct auth_client *, unsigned index, unsigned incarnation, int fd);
void auth_client_peer_down(struct auth_client *, unsigned index, unsigned incarnation);

/* Begins nothing new there; our end is closed when no exchange of it is open. An unknown one is fine. */
void auth_client_peer_retire(struct auth_client *, unsigned index, unsigned incarnation);

/* AUTH_BEGIN or AUTH_CHECK; everything is copied. 0: an answer will come. -1: none will, since the request is over a bound
 * or memory is out. */
int auth_client_begin(struct auth_client *, const struct auth_request *);
/* The response to the latest challenge, or -1 as above, also when no challenge of that exchange is open. An exchange whose
 * process died while the client was thinking is told so here, by AUTH_TEMPORARY. */
int auth_client_continue(struct auth_client *, struct auth_exchange, struct span response);
/* Forgets the exchange, whatever its state; no answer follows. Unknown ones are fine. To be called whenever a session ends, also
 * while its client is to respond. */
void auth_client_cancel(struct auth_client *, struct auth_exchange);

#endif
