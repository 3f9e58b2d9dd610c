/* extension - the capabilities that may be shown to a client before it is logged in, as a set; and what a server lists of them.
 * Invariants: a closed list: no word of a server reaches a client from here, only its number behind SIZE; nothing about TLS,
 * credentials or who is trusted is on the list.
 * RFC 1870, 6152, 6531, 3461, 3030, 2034 (submission); 2449 (POP3).
 */
#ifndef PROTOCOLS_EXTENSION_H
#define PROTOCOLS_EXTENSION_H

#include "protocols/span.h"
#include <stdint.h>

enum extension {
	EXTENSION_SIZE,
	EXTENSION_8BITMIME,
	EXTENSION_SMTPUTF8,
	EXTENSION_DSN,
	EXTENSION_CHUNKING,
	EXTENSION_BINARYMIME,
	EXTENSION_ENHANCEDSTATUSCODES,
	EXTENSION_TOP,
	EXTENSION_UIDL,
	EXTENSION_RESP_CODES,
	EXTENSIONS
};

/* Which of them each protocol knows. */
#define EXTENSIONS_SUBMISSION 0x07fu
#define EXTENSIONS_POP3       0x380u
#define EXTENSIONS_ALL        0x3ffu
/* BINARYMIME cannot be repaired where a server lacks it: it is shown where the operator states it, not because it was found. */
#define EXTENSIONS_FOUND (EXTENSIONS_ALL & ~(1u << EXTENSION_BINARYMIME))

struct extension_set {
	unsigned set;  /* bit n: enum extension n */
	uint64_t size; /* the largest message, with EXTENSION_SIZE; 0: the server states no limit */
};

/* Adds what one line ("SIZE 1000") names, if `known` has it. */
void extension_note(struct extension_set *, unsigned known, struct span line);
/* What both can do; of two sizes the lesser one. */
struct extension_set extension_meet(struct extension_set, struct extension_set);
bool extension_equal(struct extension_set, struct extension_set);

/* A list as dialogues want it: NULL at the end. It may be written anew while they hold it. */
struct extension_list {
	const char *items[EXTENSIONS + 1];
	char size[sizeof("SIZE 18446744073709551615")];
};
void extension_list(struct extension_set, struct extension_list *);

#endif
