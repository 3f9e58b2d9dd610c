/* ticket_keys - the keys that seal session tickets: one seals, up to two more open.
 * Invariants: by the wall clock `next` takes the place of `current`, and that the place of `previous`, so a key opens for one rotation
 * before and one after it seals, and every process knows it before anybody seals with it; what leaves is wiped. The time and the random
 * source are given in. RFC 5077 5.5, RFC 9325 3.4.
 */
#ifndef FRONTEND_TICKET_KEYS_H
#define FRONTEND_TICKET_KEYS_H

#include "frontend/config.h"
#include "protocols/span.h"

#define TICKET_NAME_LEN   16
#define TICKET_SECRET_LEN 32
#define TICKET_FILE_MAX   4096 /* octets of a file of keys */
#define TICKET_BODY_MAX   256  /* of ticket_keys_encode() */

/* A name of zeros: there is no key. */
struct ticket_key {
	uint8_t name[TICKET_NAME_LEN], secret[TICKET_SECRET_LEN];
};

enum ticket_place { TICKET_CURRENT, TICKET_NEXT, TICKET_PREVIOUS, TICKET_PLACES };

struct ticket_keys {
	struct ticket_key keys[TICKET_PLACES];
	bool from_file; /* then they stay until the file changes, and the last two only open */
	int64_t turn;   /* wall clock in seconds, of the next rotation; not of a file's */
	uint32_t wait;  /* milliseconds after which to ask for them again */
};

/* True when it has filled out. */
typedef bool (*ticket_random)(void *out, size_t len);

/* Makes the first keys, or turns them as often as the time wants; a clock that was set back only moves the next turn. False: no random
 * octets were to be had; the keys are then wiped. `rotate`: seconds. */
bool ticket_keys_turn(struct ticket_keys *, int64_t now, int rotate, ticket_random);
void ticket_keys_wipe(struct ticket_keys *);

/* Takes fresh ones in the place of those held. Where a new keeper has made them, what sealed last still opens until its first turn. */
void ticket_keys_take(struct ticket_keys *held, const struct ticket_keys *fresh);

/* NULL: no key of that name; or none that seals. */
const struct ticket_key *ticket_keys_find(const struct ticket_keys *,
					  const uint8_t name[TICKET_NAME_LEN]);
const struct ticket_key *ticket_keys_sealing(const struct ticket_keys *);
unsigned ticket_keys_count(const struct ticket_keys *);

/* What the keeper answers a worker: `turn` does not travel. Returns the length. */
size_t ticket_keys_encode(uint8_t out[TICKET_BODY_MAX], const struct ticket_keys *);
bool ticket_keys_decode(const uint8_t *data, size_t len, struct ticket_keys *out);

/* The text of a file: lines of 48 octets in base64, name and secret; empty lines and those that begin with # say nothing. False, and
 * why, with the line it is about (0: the file as a whole). */
bool ticket_keys_parse(struct span text, struct ticket_keys *out, int *line, char why[256]);

#endif
