/* keeper_keys - the private keys of the keeper, by name; signed with by its threads, added and dropped by its loop.
 * Invariants: a lock guards the table, and no key goes while a thread signs with it; what is not in the table is not signed with. A key
 * that the book no longer names stays for a minute, since workers may still be on their way to the new book; then it is wiped.
 */
#ifndef FRONTEND_KEEPER_KEYS_H
#define FRONTEND_KEEPER_KEYS_H

#include "frontend/book.h"
#include "frontend/keeper_message.h"

#define KEEPER_KEYS_STAY 60. /* seconds */

struct keeper_keys;

struct keeper_keys *keeper_keys_new(void);   /* NULL without memory */
void keeper_keys_free(struct keeper_keys *); /* when no thread uses it any more; NULL is fine */

bool keeper_keys_has(struct keeper_keys *, const uint8_t id[KEY_ID_LEN]);
/* Takes the key, also when it fails (memory). One of that name that is there already stays in its place. */
bool keeper_keys_add(struct keeper_keys *, struct key *);
/* This book is in force: keys that it does not name begin to leave (now: seconds of some clock), others stay. False: no memory. */
bool keeper_keys_follow(struct keeper_keys *, const struct book *, double now);
/* Drops those whose time is over. Returns when the next one's is, or 0: none leaves. */
double keeper_keys_expire(struct keeper_keys *, double now);

/* From any thread. DONE and *out_len, or REFUSED, UNKNOWN, FAILED. */
enum keeper_status keeper_keys_sign(struct keeper_keys *, const struct keeper_request *,
				    uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len);

#endif
