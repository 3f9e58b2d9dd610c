/* tls_record - the headers of a peer's records as its bytes go by, whatever pieces they come in.
 * Invariants: changes and keeps no byte but those of a header that is not whole yet. RFC 8446 5.1, 5.2.
 */
#ifndef PROTOCOLS_TLS_RECORD_H
#define PROTOCOLS_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER 5

/* All zero at first. */
struct tls_record_watch {
	uint8_t header[TLS_RECORD_HEADER];
	size_t have; /* octets of the header */
	size_t left; /* of the record behind it */
};

/* The next bytes of the peer. False: among them is the header of a record that TLS 1.3 cannot have: one too short for a tag and the type of
 * what it holds (RFC 8446 5.2), that is neither an alert in clear nor ChangeCipherSpec. To be asked while TLS 1.3 is spoken; the others
 * have bounds of their own. */
bool tls_record_pass(struct tls_record_watch *, const uint8_t *data, size_t len, bool tls13);

#endif
