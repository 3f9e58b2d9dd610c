/* keeper_message - what a worker asks of the keeper and what it answers: one packet each (SOCK_SEQPACKET), at most 2 KiB.
 * Invariants: pure; a packet that is too short, too long, of another version or with an unknown value decodes to false. Spans
 * point into the packet they were decoded from. Numbers are in host order: both ends are the same binary.
 * Request: u8 version, u8 type, u32 sequence; SIGN: KEY_ID_LEN octets id, u8 algorithm, input (the rest).
 * Answer: u8 version, u8 status, u32 sequence, output (the rest).
 */
#ifndef FRONTEND_KEEPER_MESSAGE_H
#define FRONTEND_KEEPER_MESSAGE_H

#include "frontend/key.h"
#include "protocols/span.h"

#define KEEPER_PACKET_MAX 2048
#define KEEPER_INPUT_MAX  1024
#define KEEPER_OUTPUT_MAX 1024

enum keeper_request_type {
	KEEPER_SIGN = 1,
	KEEPER_TICKETS, /* the ticket keys, and how long they hold */
};

struct keeper_request {
	enum keeper_request_type type;
	uint32_t sequence; /* the answer repeats it */
	uint8_t id[KEY_ID_LEN];
	enum key_algorithm algorithm;
	struct span input; /* KEEPER_INPUT_MAX */
};

enum keeper_status {
	KEEPER_DONE,
	KEEPER_REFUSED, /* not what a TLS server signs */
	KEEPER_UNKNOWN, /* no key of that name, or not in the book */
	KEEPER_FAILED,  /* the library or the token could not */
	KEEPER_NONE,    /* no ticket keys */
};

struct keeper_answer {
	uint32_t sequence;
	enum keeper_status status;
	struct span output; /* KEEPER_OUTPUT_MAX */
};

/* Length of the packet; 0 when a span is too long. */
size_t keeper_request_encode(uint8_t out[KEEPER_PACKET_MAX], const struct keeper_request *);
size_t keeper_answer_encode(uint8_t out[KEEPER_PACKET_MAX], const struct keeper_answer *);
bool keeper_request_decode(const uint8_t *packet, size_t len, struct keeper_request *out);
bool keeper_answer_decode(const uint8_t *packet, size_t len, struct keeper_answer *out);

#endif
