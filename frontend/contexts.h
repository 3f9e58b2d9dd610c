/* contexts - the TLS contexts of one generation's listeners: made when a client first needs one, kept for the next, and the
 * least recently used goes when there are too many. So thousands of certificates cost a worker what its clients ask for.
 * Invariants: at most CONTEXTS_MAX; a session keeps the one that its handshake began with, whatever happens here.
 */
#ifndef FRONTEND_CONTEXTS_H
#define FRONTEND_CONTEXTS_H

#include "frontend/tls.h"

#define CONTEXTS_MAX 256

struct contexts;

struct contexts *contexts_new(void); /* NULL without memory */
void contexts_free(struct contexts *);
void contexts_clear(struct contexts *); /* another book: what the numbers meant has changed */

/* The context for one certificate (its index in the book) at one class of listeners; both name it, and the settings say what it is made
 * of. Borrowed until the next call. NULL and why in text when it cannot be made. */
struct tls_context *contexts_get(struct contexts *, unsigned class, uint32_t entry,
				 const struct tls_server_settings *, char text[256]);

#endif
