/* status_http - the monitor's pages over HTTP: the one file that knows libmicrohttpd.
 * Invariants: the library is mapped when it is first needed and not linked to: it brings a second TLS library along, which no process
 * that touches a client or a password shall have. GET and HEAD alone; few connections, each with a timeout; who may not
 * connect gets no answer at all.
 */
#ifndef FRONTEND_STATUS_HTTP_H
#define FRONTEND_STATUS_HTTP_H

#include "frontend/status.h"
#include <ev.h>

struct status_http;

struct status_http_handlers {
	bool (*allowed)(void *owner, const struct sockaddr *);
	bool (*page)(void *owner, const char *path, struct status_page *out); /* false: none such */
};

/* Whether the library is there; if not, why. */
bool status_http_available(char why[256]);

/* Serves on that listening socket, which it takes. NULL, and why; then the socket is closed. */
struct status_http *status_http_new(struct ev_loop *, int fd, const struct status_http_handlers *,
				    void *owner, char why[256]);
void status_http_free(struct status_http *); /* NULL is fine */

#endif
