/* prepared - a child's answer to PREPARE: READY, or FAILED with every fault; one form for all kinds of children. */
#ifndef FRONTEND_PREPARED_H
#define FRONTEND_PREPARED_H

#include "frontend/channel.h"
#include "frontend/config.h"

/* READY with its warnings when there is no error among the faults, with `library` (the checker's: the TLS library's version) if it
 * is not NULL. False when the channel does not take it. */
bool prepared_answer(struct channel *, uint32_t generation, const struct config_faults *,
		     const char *library);
/* SERVING: the answer to COMMIT. */
bool prepared_serving(struct channel *, uint32_t generation);
/* The faults of a FAILED or READY message, whose generation has been read. */
void prepared_faults(struct message_reader *, struct config_faults *out);

#endif
