/* prepared - a child's answer to PREPARE: READY, or FAILED with every fault; one form for all kinds of children. */
#ifndef FRONTEND_PREPARED_H
#define FRONTEND_PREPARED_H

#include "frontend/certify.h"
#include "frontend/channel.h"
#include "frontend/config.h"

/* What the checker adds to READY. */
struct prepared_check {
	const char *library; /* the TLS library's version */
	int book;            /* descriptor; the caller keeps its own */
	size_t refused;
	const struct certify_refusal *refusals;
};

/* READY with its warnings when there is no error among the faults, with what the checker has to add (others: NULL). False when the
 * channel does not take it. */
bool prepared_answer(struct channel *, uint32_t generation, const struct config_faults *,
		     const struct prepared_check *);
/* SERVING: the answer to COMMIT. */
bool prepared_serving(struct channel *, uint32_t generation);
/* The faults of a FAILED or READY message, whose generation has been read. */
void prepared_faults(struct message_reader *, struct config_faults *out);

#endif
