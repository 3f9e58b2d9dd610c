/* generation - one configuration as a worker serves it: TLS contexts, listeners, pools; counted, so that a session keeps the
 * one that it began with.
 * Invariants: immutable once made, but for the health that a pool's servers showed last.
 */
#ifndef FRONTEND_GENERATION_H
#define FRONTEND_GENERATION_H

#include "frontend/config.h"
#include "frontend/tls.h"
#include "protocols/protocol.h"
#include "protocols/smtp_relay.h"

struct served_pool {
	const struct config_pool *config;
	struct tls_context *tls; /* NULL: the leg is plain */
	struct login_settings login;
	bool *down; /* per server: its last connection or login failed for a cause of its own */
};

struct served_listener {
	const struct config_listener *config;
	const struct protocol *protocol;
	struct tls_context *tls; /* its own, or the generation's */
	struct dialogue_settings dialogue;
	struct smtp_relay_settings relay;
	char name[ADDRESS_TEXT_MAX]; /* the address really bound */
};

struct generation {
	unsigned references;
	struct config *config;
	struct tls_context *tls; /* of listeners without a certificate of their own */
	struct served_listener *listeners;
	struct served_pool *pools;
};

/* Takes the configuration, also when it fails; then NULL, and every fault is in faults. */
struct generation *generation_new(struct config *, struct config_faults *);
struct generation *generation_keep(struct generation *);
void generation_drop(struct generation *); /* the last one frees; NULL is fine */

/* First matching route of that user. NULL: none serves the protocol. */
struct served_pool *generation_route(const struct generation *, enum protocol_id, struct span user);

#endif
