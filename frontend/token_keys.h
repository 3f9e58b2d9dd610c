/* token_keys - the keys in tokens that a book needs: found by their URIs, named like all keys, asked to sign.
 * Invariants: only what the book names, and what a TLS server signs, goes to a token; for the loop alone. A key that no book names any
 * more stays until token_keys_sweep(), since workers may still be on their way to the new book.
 */
#ifndef FRONTEND_TOKEN_KEYS_H
#define FRONTEND_TOKEN_KEYS_H

#include "frontend/book.h"
#include "frontend/config.h"
#include "frontend/token_line.h"

struct token_keys;

/* lost: as of token_line.h, from a thread. NULL without memory. */
struct token_keys *token_keys_new(const struct token_line_handlers *, void *owner);
void token_keys_free(struct token_keys *); /* ends the threads; NULL is fine */

/* Finds the keys of that book which are not there yet. What is missing: a fault at its certificate's place.
 * True: none is missing. */
bool token_keys_fetch(struct token_keys *, const struct book *, const struct config *,
		      struct config_faults *);
/* Another configuration: a PIN that was refused may be another one now. */
void token_keys_retry(struct token_keys *);
/* Drops those that the book does not name. */
void token_keys_sweep(struct token_keys *, const struct book *);

/* DONE: the peer will be answered. */
enum keeper_status token_keys_sign(struct token_keys *, struct token_peer *,
				   const struct keeper_request *);

#endif
