/* keeper_client - a worker's way to the keeper: the one call in a worker that waits for another process, 200 ms at most.
 * Invariants: one descriptor (SOCK_SEQPACKET), one request at a time; an answer to an earlier request is dropped; without a keeper a
 * call fails at once; packets are wiped.
 */
#ifndef FRONTEND_KEEPER_CLIENT_H
#define FRONTEND_KEEPER_CLIENT_H

#include "frontend/keeper_message.h"

struct keeper_client {
	int fd; /* -1: no keeper */
	uint32_t incarnation, sequence;
	unsigned late; /* calls in a row that were not answered in time */
	void (*stuck)(void *owner, uint32_t incarnation);
	void *owner;
	uint64_t calls, timeouts,
		failures; /* failures: all that did not give a result, timeouts among them */
};

/* stuck: several calls in a row were in vain; told once of a keeper. It may be NULL. */
void keeper_client_init(struct keeper_client *, void (*stuck)(void *owner, uint32_t incarnation),
			void *owner);
void keeper_client_cleanup(struct keeper_client *);

/* CONTROL_PEER_UP and _DOWN of the keeper. up: takes fd, in the place of what it had; down: nothing when it has a later one. */
void keeper_client_up(struct keeper_client *, uint32_t incarnation, int fd);
void keeper_client_down(struct keeper_client *, uint32_t incarnation);

/* 0 and *out_len, or -1: no keeper, refused, or no answer in time. out holds KEY_SIGNATURE_MAX. */
int keeper_sign(struct keeper_client *, const uint8_t id[KEY_ID_LEN], enum key_algorithm,
		const uint8_t *in, size_t len, uint8_t *out, size_t *out_len);

/* The body of the keeper's ticket keys (ticket_keys.h). 0 and *out_len, or -1. out holds KEEPER_OUTPUT_MAX; the caller wipes it. */
int keeper_tickets(struct keeper_client *, uint8_t *out, size_t *out_len);

#endif
