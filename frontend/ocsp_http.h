/* ocsp_http - asks a server over HTTP without stopping the loop. The one file that knows libcurl, which is loaded in the monitor alone and
 * only where responses are to be fetched: it brings a TLS library of its own.
 * Invariants: addresses begin with http://, since what comes back is signed; a redirection may lead to https as well, three times at most;
 * an answer is bounded in octets and time. Callbacks come from the loop, never from within a call.
 */
#ifndef FRONTEND_OCSP_HTTP_H
#define FRONTEND_OCSP_HTTP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCSP_HTTP_ANSWER_MAX ((size_t)64 << 10)
#define OCSP_HTTP_SECONDS    15L

struct ocsp_http;

struct ocsp_http_answer {
	const char *error; /* NULL: this is the body of a 200 */
	const uint8_t *data;
	size_t len;
};

typedef void ocsp_http_done(void *owner, uint64_t id, const struct ocsp_http_answer *);

/* Whether the library is there: it is loaded, and stays. Else why. */
bool ocsp_http_available(char why[256]);
/* NULL and why. */
struct ocsp_http *ocsp_http_new(struct ev_loop *, ocsp_http_done *, void *owner, char why[256]);
/* Nothing is told any more. NULL is fine. */
void ocsp_http_free(struct ocsp_http *);
/* Posts the question; the answer bears the id. False: it cannot be asked (no memory, an address that is none). */
bool ocsp_http_ask(struct ocsp_http *, uint64_t id, const char *url, const uint8_t *question,
		   size_t len);

#endif
