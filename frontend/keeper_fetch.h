/* keeper_fetch - books that the keeper is given, one after the other, and the private keys that each needs: it asks the supervisor for
 * the files of those that it has not.
 * Invariants: each book is done with once and in its order, also when keys are missing (event key_missing): their files will change, and
 * another book follows. What is read of a file is wiped.
 */
#ifndef FRONTEND_KEEPER_FETCH_H
#define FRONTEND_KEEPER_FETCH_H

#include "frontend/channel.h"
#include "frontend/config.h"
#include "frontend/keeper_keys.h"

struct keeper_fetch;

/* What is to be done with a book. */
struct keeper_task {
	uint32_t generation;
	struct book *book;     /* NULL: there is none */
	struct config *config; /* of PREPARE; NULL: the book alone, for what is in force */
	bool again; /* the book has been done with and keys of it are missing: nobody is told */
};

/* done: the keys are there as far as they can be; it takes book and configuration. NULL without memory. */
struct keeper_fetch *keeper_fetch_new(struct channel *supervisor, struct keeper_keys *,
				      void (*done)(void *owner, struct keeper_task *), void *owner);
void keeper_fetch_free(struct keeper_fetch *); /* NULL is fine */

/* Takes the task, also when it fails (memory, or the channel is full). It may be done before this returns. */
bool keeper_fetch_add(struct keeper_fetch *, const struct keeper_task *);
/* The PREPARE of that generation that waits or is under way is not wanted any more: it is dropped when it is done. */
void keeper_fetch_abort(struct keeper_fetch *, uint32_t generation);
bool keeper_fetch_is_idle(const struct keeper_fetch *);
bool keeper_fetch_prepares(const struct keeper_fetch *, uint32_t generation);
/* CONTROL_FILES. False: malformed, or not asked for, or the channel is full. */
bool keeper_fetch_files(struct keeper_fetch *, struct message_reader *, int *fds, size_t nfds);

void keeper_task_cleanup(struct keeper_task *);

#endif
