/* generation - one configuration as a worker serves it: TLS contexts, listeners, pools; counted, so that a session keeps the
 * one that it began with.
 * Invariants: immutable once made, but for the book of certificates and for what is known of the servers behind, with the lists
 * of capabilities that follow from it: those are rewritten in place, between two calls of whoever holds them.
 */
#ifndef FRONTEND_GENERATION_H
#define FRONTEND_GENERATION_H

#include "frontend/backends.h"
#include "frontend/contexts.h"
#include "frontend/gate.h"
#include "protocols/protocol.h"
#include "protocols/smtp_relay.h"

struct served_pool {
	const struct config_pool *config;
	struct tls_context *tls; /* NULL: the leg is plain */
	struct login_settings login;
	struct backends backends;
};

struct served_listener {
	const struct config_listener *config;
	const struct protocol *protocol;
	struct gate_rules rules;
	unsigned tls_class; /* listeners of one class may use one context for a certificate */
	struct client_rules *clients; /* NULL: they are not asked for certificates */
	const char **mechanisms;      /* without EXTERNAL */
	struct dialogue_settings dialogue;
	struct dialogue_settings
		dialogue_certified;      /* of a session whose certificate names a user */
	struct extension_set extensions; /* what may be shown before login */
	struct extension_list shown;     /* the same; what dialogue.capabilities points to */
	struct smtp_relay_settings relay;
	char name[ADDRESS_TEXT_MAX]; /* the address really bound */
};

struct generation {
	unsigned references;
	uint32_t number; /* as the supervisor counts configurations; set by the owner */
	struct config *config;
	struct book *book; /* the certificates; NULL in the checker */
	struct contexts *contexts;
	struct served_listener *listeners;
	struct served_pool *pools;
};

/* Takes the configuration, also when it fails; then NULL, and every fault is in faults. Keeps the book. */
struct generation *generation_new(struct config *, struct book *, struct config_faults *);
/* Renewed certificates: handshakes from now on use them. Keeps the book. */
void generation_take_book(struct generation *, struct book *);
struct generation *generation_keep(struct generation *);
void generation_drop(struct generation *); /* the last one frees; NULL is fine */

/* What is known of the servers passes to the next configuration, as far as it has them. */
void generation_inherit(struct generation *, const struct generation *earlier);
/* The monitor's word about one pool; one that fits no pool is dropped. */
void generation_publish(struct generation *, const struct published_pool *);

/* First matching route of that user. NULL: none serves the protocol. */
struct served_pool *generation_route(const struct generation *, enum protocol_id, struct span user);

#endif
