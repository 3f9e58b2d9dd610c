/* smtp_extension - which extensions an EHLO reply, or a pool's list of capabilities, names.
 * Invariants: only what Postern knows is noted; an unreadable SIZE is a SIZE without a maximum.
 * RFC 5321 4.1.1.1; RFC 1870 3, 2920, 3030, 3461, 4954, 6152, 6531.
 */
#ifndef PROTOCOLS_SMTP_EXTENSION_H
#define PROTOCOLS_SMTP_EXTENSION_H

#include "protocols/span.h"
#include <stdint.h>

#define SMTP_SIZE_DIGITS 20 /* RFC 1870 3 */

enum smtp_extension {
	SMTP_PIPELINING = 1,
	SMTP_SIZE = 2,
	SMTP_8BITMIME = 4,
	SMTP_SMTPUTF8 = 8,
	SMTP_DSN = 16,
	SMTP_CHUNKING = 32,
	SMTP_BINARYMIME = 64,
	SMTP_AUTH = 128,
};

/* Zero it before each EHLO. */
struct smtp_extensions {
	unsigned offered; /* of enum smtp_extension */
	uint64_t size;    /* octets of a message at most; 0: no maximum is known */
};

/* `line` is the text of one line of the reply, any but the first, or an entry of a pool's list. */
void smtp_extension_note(struct smtp_extensions *, struct span line);

/* RFC 1870 3: 1 to 20 digits; what is over 64 bits is their maximum. False: no such number. */
bool smtp_size_parse(struct span digits, uint64_t *size);

#endif
