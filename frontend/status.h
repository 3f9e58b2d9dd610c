/* status - the pages that the monitor serves: /metrics and /healthz.
 * Invariants: text only; nothing in it names a user; a page is made anew for each request.
 */
#ifndef FRONTEND_STATUS_H
#define FRONTEND_STATUS_H

#include "frontend/book.h"
#include "frontend/shared.h"
#include "frontend/watch.h"

struct status_page {
	unsigned code; /* of HTTP */
	const char *type;
	char *text; /* the caller frees it */
	size_t len;
};

/* The book may be NULL: nothing is known of certificates. False: there is no such page, or no memory. */
bool status_page(const char *path, const struct shared *, const struct watch *, const struct book *,
		 struct status_page *out);

#endif
