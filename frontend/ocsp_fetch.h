/* ocsp_fetch - the monitor's way to OCSP responses: whom to ask when (ocsp_schedule), the question (ocsp_request), the asking (ocsp_http).
 * Invariants: nothing is asked before a book is there, nor where none is wanted; what came back is handed on unjudged, but for its size:
 * the checker judges it.
 */
#ifndef FRONTEND_OCSP_FETCH_H
#define FRONTEND_OCSP_FETCH_H

#include "frontend/book.h"
#include <ev.h>

struct ocsp_fetch;

/* A response that differs from the one in the book. */
typedef void ocsp_fetched(void *owner, uint32_t entry, const uint8_t *fingerprint,
			  const uint8_t *response, size_t len);

/* NULL and why: no memory, or the library is not there. */
struct ocsp_fetch *ocsp_fetch_new(struct ev_loop *, ocsp_fetched *, void *owner, char why[256]);
void ocsp_fetch_free(struct ocsp_fetch *); /* NULL is fine */
/* The certificates in force from now on; kept until the next. */
void ocsp_fetch_book(struct ocsp_fetch *, struct book *);

#endif
