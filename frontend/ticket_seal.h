/* ticket_seal - session tickets closed and opened: AES-256-GCM over what the TLS library wants to find again.
 * Invariants: each nonce is drawn from the kernel (96 bits, so 2^32 tickets under one key are the most: NIST SP 800-38D 8.3); the key's
 * name and the scope are authenticated too, so that a ticket is good only where it was made.
 */
#ifndef FRONTEND_TICKET_SEAL_H
#define FRONTEND_TICKET_SEAL_H

#include "frontend/ticket_keys.h"

/* As the TLS library has them; of the latter two 12 and 16 octets are used, the rest is zero. */
#define TICKET_IV_LEN  16
#define TICKET_MAC_LEN 32

struct ticket_label {
	uint8_t name[TICKET_NAME_LEN], iv[TICKET_IV_LEN], mac[TICKET_MAC_LEN];
};

enum ticket_opening {
	TICKET_OPENED,
	TICKET_UNKNOWN, /* by the name on it: no key of ours, or none any more */
	TICKET_FOREIGN, /* changed, or made for another scope */
};

/* Both in place. seal: false when nothing can be sealed: no key, no random octets. */
bool ticket_seal(const struct ticket_keys *, struct span scope, uint8_t *data, size_t len,
		 struct ticket_label *out);
enum ticket_opening ticket_open(const struct ticket_keys *, struct span scope,
				const struct ticket_label *, uint8_t *data, size_t len);

/* Octets of the kernel's generator; false when it has none. */
bool ticket_octets(void *out, size_t len);

/* 64 characters of base64, nothing but those, to 48 octets. */
bool ticket_base64(const char *text, uint8_t out[48]);

#endif
