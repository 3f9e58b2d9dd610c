/* staples - OCSP responses that the monitor has fetched, on their way through the supervisor to the checker, which judges them and puts
 * them into the next book. Nothing in them is looked at here.
 * Invariants: one for each certificate (named by the SHA-256 of its leaf); bounded in number and size.
 */
#ifndef FRONTEND_STAPLES_H
#define FRONTEND_STAPLES_H

#include "frontend/book.h"

#define STAPLE_MAX  ((size_t)64 << 10)
#define STAPLES_MAX 100000u

struct staples;

struct staples *staples_new(void); /* NULL without memory */
void staples_free(struct staples *);
/* Takes the place of an older one of the same certificate. False: too long, too many, or no memory. */
bool staples_put(struct staples *, const uint8_t fingerprint[BOOK_ID_LEN], const void *response,
		 size_t len);
bool staples_has(const struct staples *, const uint8_t fingerprint[BOOK_ID_LEN]);
/* A descriptor of a sealed memory file with the response, to be given away and closed; -1: there is none. It stays until the next sweep,
 * since several files may hold the certificate. */
int staples_give(struct staples *, const uint8_t fingerprint[BOOK_ID_LEN]);
/* Drops those that were given, and those of certificates that the book does not have. */
void staples_sweep(struct staples *, const struct book *);

#endif
