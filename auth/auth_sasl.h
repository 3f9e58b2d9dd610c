/* auth_sasl - the one door to Cyrus SASL: requests in, typed answers out.
 * Invariants: who is the judge is the configuration's word and each request's, and both must agree. With the backend as judge
 * nothing here is ever proven: CAPTURED means decoded, and no password store is consulted, whatever is installed. Where SASL
 * decides, VERIFIED is its verdict, and a failure of a store is TEMPORARY, never a wrong password. An exchange keeps the
 * options that it began with. A secret lives until auth_sasl_answered() at most. One at a time per process, since the
 * library's state is global. Calls may block.
 */
#ifndef AUTH_AUTH_SASL_H
#define AUTH_AUTH_SASL_H

#include "auth/auth_message.h"
#include "auth/auth_options.h"
#include "auth/auth_table.h"

#define AUTH_SASL_EXCHANGES_MAX 256   /* open at once, of one worker; the longest idle makes room */
#define AUTH_SASL_IDLE          120.0 /* seconds that an exchange may wait for the client */

struct auth_sasl;

/* Initialises the library. The settings are copied. NULL when it cannot; *why then says so, a literal. */
struct auth_sasl *auth_sasl_new(const struct auth_sasl_settings *, const char **why);
/* Other settings from now on. Open exchanges go on with those that they began with, unless the library must be initialised anew
 * (another judge, a plugin that is not loaded, an option that plugins read once): then they are disposed of. False, and why:
 * nothing can be asked any more. */
bool auth_sasl_configure(struct auth_sasl *, const struct auth_sasl_settings *, const char **why);
void auth_sasl_free(struct auth_sasl *); /* disposes of all exchanges; NULL is fine */

/* Carries out one request. True when `answer` is to be sent; its spans are then valid until auth_sasl_answered(), which the
 * caller must call before the next request. `now` is any clock in seconds that does not go back. */
bool auth_sasl_request(struct auth_sasl *, struct auth_peer, double now,
		       const struct auth_request *, struct auth_answer *answer);
/* The answer has been encoded: wipes what it pointed to. */
void auth_sasl_answered(struct auth_sasl *);

void auth_sasl_peer_gone(struct auth_sasl *, struct auth_peer);
/* Disposes of exchanges that have been idle for AUTH_SASL_IDLE. */
void auth_sasl_expire(struct auth_sasl *, double now);
size_t auth_sasl_open_exchanges(const struct auth_sasl *);

/* Of the library, "2.1.28"; needs no initialisation. */
const char *auth_sasl_version(void);

#endif
